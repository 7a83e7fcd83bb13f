//! The code itself: who leans on whom, and which names have no place here.
//!
//! Source is read line by line and not parsed: comments are cut off, and everything from the first `#[cfg(test)]` of a
//! file, by convention its last item, counts as test code. Doc links may point anywhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of this many lines is a conversation (CONTRIBUTING.md).
const TOO_LONG: usize = 800;

struct Source {
    /// From the crate's `src`, with slashes.
    path: String,
    text: String,
}

impl Source {
    /// Lines of code, numbered from 1: without comments and without test code.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(i, line)| (i + 1, line));
        let lines = lines.take_while(|(_, line)| *line != "#[cfg(test)]");
        lines.map(|(i, line)| (i, line.find("//").map_or(line, |at| &line[..at])))
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("tests/")
    }

    /// The module that the layer table speaks of, and below `proto` the protocol.
    fn room(&self) -> Room {
        let mut parts = self.path.trim_end_matches(".rs").split('/').filter(|part| *part != "mod");
        let module = parts.next().unwrap_or_default().to_owned();
        let protocol = if module == "proto" { parts.next().map(str::to_owned) } else { None };
        Room { module, protocol }
    }
}

#[derive(PartialEq, Eq, Debug)]
struct Room {
    module: String,
    protocol: Option<String>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(of: &str) -> Vec<Source> {
    let root = repository().join(of).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("it can be listed").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let inside = path.strip_prefix(&root).expect("it is inside");
                let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
                found.push(Source { path: parts.join("/"), text: fs::read_to_string(&path).expect("source is text") });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 10, "{of}: {} files", found.len());
    found
}

/// Layer of each module, as the table of ARCHITECTURE.md has it.
fn layers() -> BTreeMap<String, u32> {
    let text = fs::read_to_string(repository().join("ARCHITECTURE.md")).expect("the map is there");
    let mut layers = BTreeMap::new();
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (Some(Ok(layer)), Some(modules)) = (cells.first().map(|cell| cell.parse()), cells.get(1)) else { continue };
        layers.extend(modules.split_whitespace().map(|module| (module.trim_end_matches("/*").to_owned(), layer)));
    }
    for module in ["time", "wire", "proto", "net", "node", "world"] {
        assert!(layers.contains_key(module), "the layer table has no {module}");
    }
    layers
}

/// The rooms that a line names: `crate::a::b` and the heads of `crate::{a::b, c}`.
fn named(line: &str) -> Vec<Room> {
    let room = |path: &str| {
        let mut parts = path.trim().split("::").map(|part| {
            let end = part.find(|c: char| !c.is_alphanumeric() && c != '_');
            end.map_or(part, |end| &part[..end]).to_owned()
        });
        let module = parts.next().unwrap_or_default();
        let protocol = if module == "proto" { parts.next() } else { None };
        Room { module, protocol }
    };
    let mut rooms = Vec::new();
    for rest in line.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => rooms.push(room(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut start = 0;
                for (i, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        ',' | '}' if depth == 0 => {
                            rooms.push(room(&list[start..i]));
                            start = i + 1;
                            if c == '}' {
                                break;
                            }
                        }
                        '}' => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
    rooms
}

/// Why one room must not name another; `None` if it may.
fn forbidden(from: &Room, to: &Room, layers: &BTreeMap<String, u32>) -> Option<String> {
    if from.module == to.module {
        let strangers = from.module == "proto" && to.protocol.is_some() && from.protocol != to.protocol;
        return strangers.then(|| "a protocol never imports another".to_owned());
    }
    let layer = |room: &Room| layers.get(&room.module).copied();
    match (layer(from), layer(to)) {
        (Some(from_layer), Some(to_layer)) if from_layer < to_layer => {
            Some(format!("layer {from_layer} names layer {to_layer}"))
        }
        (Some(_), Some(_)) => match (from.module.as_str(), to.module.as_str()) {
            ("wire", "crypto") | ("crypto", "wire") => Some("wire and crypto do not import each other".to_owned()),
            _ => None,
        },
        (None, _) => Some(format!("the layer table of ARCHITECTURE.md has no {}", from.module)),
        (_, None) => Some(format!("the layer table of ARCHITECTURE.md has no {}", to.module)),
    }
}

fn none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_layers_hold() {
    let layers = layers();
    let mut found = Vec::new();
    for source in sources("sim-core").iter().filter(|source| !source.is_test() && source.path != "lib.rs") {
        let from = source.room();
        // A list may go over several lines: a `use` is read to its semicolon.
        let mut statement = String::new();
        for (number, line) in source.code() {
            statement.push_str(line.trim());
            if statement.contains("crate::{") && !line.contains(';') {
                continue;
            }
            for to in named(&statement) {
                if let Some(why) = forbidden(&from, &to, &layers) {
                    found.push(format!("sim-core/src/{}:{number}: {why} ({to:?})", source.path));
                }
            }
            statement.clear();
        }
    }
    none(&found);
}

#[test]
fn the_layer_rules_can_be_broken() {
    let layers = layers();
    let room =
        |module: &str, protocol: Option<&str>| Room { module: module.into(), protocol: protocol.map(str::to_owned) };
    for (from, line) in [
        (room("time", None), "use crate::rng::Rng; use crate::wire::ipv4;"),
        (room("wire", None), "use crate::{packet::Packet, crypto::suite::{Suite, Key}};"),
        (room("proto", Some("bgp")), "use crate::proto::tcp::Segment;"),
        (room("net", None), "fn f(world: &crate::world::World) {}"),
        (room("node", None), "use crate::{trace::Trace, surprise};"),
    ] {
        assert!(named(line).iter().any(|to| forbidden(&from, to, &layers).is_some()), "{line}");
    }
    for (from, line) in [
        (room("proto", Some("bgp")), "use crate::proto::bgp::fsm; use crate::{rng::{Rng, Purpose}, time::Instant};"),
        (room("world", None), "use crate::{node::Node, trace::Trace};"),
    ] {
        assert!(named(line).iter().all(|to| forbidden(&from, to, &layers).is_none()), "{line}");
    }
}

/// What would break determinism or the walls; clippy.toml bans what types can tell.
#[test]
fn banned_names_are_absent() {
    const BANNED: [&str; 12] = [
        "println!",
        "eprintln!",
        "print!(",
        "dbg!(",
        "std::env",
        "std::fs",
        "std::net::Tcp",
        "std::net::Udp",
        "SystemTime",
        "Instant::now",
        "thread::",
        "process::",
    ];
    let mut found = Vec::new();
    for of in ["sim-core", "sim-scenarios"] {
        for source in sources(of).iter().filter(|source| !source.is_test()) {
            for (number, line) in source.code() {
                let hash = ["HashMap", "HashSet", "RandomState"];
                for name in BANNED.iter().chain(&hash).filter(|name| line.contains(**name)) {
                    found.push(format!("{of}/src/{}:{number}: {name}", source.path));
                }
            }
        }
    }
    none(&found);
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let words = [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"]].map(|halves| halves.concat());
    let mut found = Vec::new();
    for of in ["sim-core", "sim-scenarios", "sim-cli"] {
        for source in sources(of) {
            for (i, line) in source.text.lines().enumerate() {
                if words.iter().any(|word| line.contains(word.as_str())) {
                    found.push(format!("{of}/src/{}:{}: {}", source.path, i + 1, line.trim()));
                }
            }
        }
    }
    none(&found);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut found = Vec::new();
    for of in ["sim-core", "sim-scenarios", "sim-cli"] {
        for source in sources(of) {
            if !source.is_test() && !source.text.starts_with("//! ") {
                found.push(format!("{of}/src/{} begins without a header", source.path));
            }
            let lines = source.text.lines().count();
            if lines > TOO_LONG {
                found.push(format!("{of}/src/{} has {lines} lines", source.path));
            }
        }
    }
    none(&found);
}
