//! The text of a scenario, with the changes made to it, and the way back from a place in the changed text to what a person
//! wrote.

use core::ops::Range;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;

/// A file's text and the changes made to it.
#[derive(Clone)]
pub(crate) struct Source {
    file: String,
    original: Arc<str>,
    text: String,
    edits: Vec<Edit>,
    /// The text with its copies, if it has any ([`crate::copies`]).
    copied: Option<Arc<Copied>>,
}

/// A text made of copies of parts of another.
#[derive(Clone, Default)]
pub(crate) struct Copied {
    text: String,
    /// Where each part begins in it, and what of the other text it stands for.
    parts: Vec<(usize, Range<usize>)>,
}

impl Copied {
    /// Adds what stands for a range of the other text.
    pub(crate) fn push(&mut self, text: &str, stands_for: Range<usize>) {
        if !text.is_empty() {
            self.parts.push((self.text.len(), stands_for));
            self.text.push_str(text);
        }
    }

    /// How many octets it has.
    pub(crate) const fn len(&self) -> usize {
        self.text.len()
    }

    /// The place in the other text that an offset stands for.
    fn trace(&self, offset: usize) -> usize {
        let next = self.parts.partition_point(|(start, _)| *start <= offset);
        let Some((start, stands_for)) = next.checked_sub(1).map(|number| &self.parts[number]) else { return 0 };
        (stands_for.start + (offset - start)).min(stands_for.end)
    }
}

/// A change: `inserted` octets stand at `at` in the text after this change, where `removed` octets stood before it.
#[derive(Clone)]
struct Edit {
    at: usize,
    inserted: usize,
    removed: usize,
    /// The change as it was written, `path=value`.
    written: Arc<str>,
    /// Which octets of the insertion are the value; the others name it.
    value: Range<usize>,
    /// Which octets of what was written are the name.
    name: Range<usize>,
}

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        Self { file: file.to_owned(), original: text.into(), text: text.to_owned(), edits: Vec::new(), copied: None }
    }

    /// What the file is called in messages.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The text with all changes, and with its copies if they are made.
    pub(crate) fn text(&self) -> &str {
        self.copied.as_ref().map_or(&self.text, |copied| &copied.text)
    }

    /// The same source with its copies, which is to be read and not changed.
    pub(crate) fn copied(&self, copied: Copied) -> Self {
        Self { copied: Some(Arc::new(copied)), ..self.clone() }
    }

    /// Has no copies made any more: what is changed is what they are copied from.
    pub(crate) fn forget_copies(&mut self) {
        self.copied = None;
    }

    /// True if its text has copies.
    pub(crate) const fn has_copies(&self) -> bool {
        self.copied.is_some()
    }

    /// The file's text as it may be shown.
    pub(crate) fn shown(&self) -> Arc<str> {
        blot(&self.original)
    }

    /// Replaces `range` of the text by `before`, `value` and `after`, because somebody wrote `written`,
    /// `name` of which says what is set.
    pub(crate) fn edit(
        &mut self,
        range: Range<usize>,
        [before, value, after]: [&str; 3],
        written: &str,
        name: Range<usize>,
    ) {
        let insertion = format!("{before}{value}{after}");
        self.edits.push(Edit {
            at: range.start,
            inserted: insertion.len(),
            removed: range.len(),
            written: written.into(),
            value: before.len()..before.len() + value.len(),
            name,
        });
        self.text.replace_range(range, &insertion);
    }

    /// A mistake at this range of the text.
    pub(crate) fn diagnostic(&self, range: Range<usize>, message: String, help: Option<String>) -> Diagnostic {
        match self.trace(range.start) {
            Ok(start) => {
                let end = self.trace(range.end).unwrap_or(start).max(start);
                Diagnostic::new(&self.file, blot(&self.original), start..end, message, help)
            }
            Err((written, span)) => Diagnostic::new("--set", blot(&written), span, message, help),
        }
    }

    /// An offset of the text as an offset of the file, or else the change that it is part of and which part.
    fn trace(&self, mut offset: usize) -> Result<usize, (Arc<str>, Range<usize>)> {
        if let Some(copied) = &self.copied {
            offset = copied.trace(offset);
        }
        for edit in self.edits.iter().rev() {
            if offset >= edit.at + edit.inserted {
                offset = offset - edit.inserted + edit.removed;
            } else if offset >= edit.at {
                let value = (edit.name.end + 1).min(edit.written.len())..edit.written.len();
                let in_value = edit.value.contains(&(offset - edit.at));
                let part = if in_value { value } else { edit.name.clone() };
                return Err((edit.written.clone(), part));
            }
        }
        Ok(offset)
    }
}

/// Settings that are keys.
pub(crate) const SECRETS: [&str; 2] = ["pre_shared_key", "md5_key"];

/// The text with every inline key, pre-shared or of TCP MD5, replaced by asterisks, octet by octet, so that places stay where they are.
///
/// A key is found by its setting's name, so that it stays hidden in a text that does not parse; in doubt, too much is hidden.
pub(crate) fn blot(text: &str) -> Arc<str> {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    let first = |rest: &str| SECRETS.iter().filter_map(|name| Some((rest.find(name)?, name.len()))).min();
    while let Some((at, length)) = first(rest) {
        let (before, after) = rest.split_at(at + length);
        shown.push_str(before);
        let value = after.trim_start_matches([' ', '\t', '\r', '\n', ':', '=', 'r', '#']);
        let (between, value) = after.split_at(after.len() - value.len());
        shown.push_str(between);
        rest = value;
        if !between.contains([':', '=']) {
            continue;
        }
        let (open, inside) = match value.strip_prefix('"') {
            Some(inside) => ("\"", inside),
            None => ("", value),
        };
        let (key, after) = inside.split_at(key_length(inside));
        shown.push_str(open);
        if key.starts_with("file:") || key.starts_with("env:") {
            shown.push_str(key);
        } else {
            shown.push_str(&"*".repeat(key.len()));
        }
        rest = after;
    }
    shown.push_str(rest);
    shown.into()
}

/// Octets up to the closing quote (not one after a backslash) or the end of the line.
fn key_length(inside: &str) -> usize {
    let mut escaped = false;
    let end = inside.find(|c: char| {
        let here = !escaped && matches!(c, '"' | '\n');
        escaped = c == '\\' && !escaped;
        here
    });
    end.unwrap_or(inside.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_blotted_out_wherever_they_stand() {
        for text in [
            "a: 1, pre_shared_key: \"hush_hush\", b: 2",
            "pre_shared_key:\n  \"hush_hush\"",
            "pre_shared_key: r#\"hush_hush\"#",
            "pre_shared_key: \"hush_\\\"hush\"",
            "pre_shared_key: \"hush_hush",
            "pre_shared_key: hush_hush",
            "connections.vpn.tunnels.a.pre_shared_key=hush_hush",
            "md5_key: \"hush_hush\", pre_shared_key: \"hush_hush\"",
            "nodes.a.neighbors.b.md5_key=hush_hush",
            "[\"x.customer.pre_shared_key=hush_hush\"]",
        ] {
            let shown = blot(text);
            assert!(!shown.contains("hush"), "{shown}");
            assert_eq!(shown.len(), text.len(), "places stay where they are");
        }
    }

    #[test]
    fn where_a_key_is_kept_is_shown() {
        let text = "pre_shared_key: \"env:VPN_PSK\", // the pre_shared_key of tunnel a";
        assert_eq!(&*blot(text), text);
    }

    #[test]
    fn places_lead_back_through_changes() {
        let mut source = Source::new("f", "a: 1, b: 2, c: 3");
        source.edit(3..4, ["", "1111", ""], "a=1111", 0..1);
        source.edit(15..15, ["d: ", "4", ", "], "d=4", 0..1);
        assert_eq!(source.text(), "a: 1111, b: 2, d: 4, c: 3");
        assert_eq!(source.trace(12), Ok(9), "the value of b");
        assert_eq!(source.trace(24), Ok(15), "the value of c");
        assert_eq!(source.trace(4).expect_err("changed").1, 2..6, "the value in a=1111");
        assert_eq!(source.trace(15).expect_err("changed").1, 0..1, "the path in d=4");
        assert_eq!(source.trace(18).expect_err("changed").1, 2..3, "the value in d=4");
    }
}
