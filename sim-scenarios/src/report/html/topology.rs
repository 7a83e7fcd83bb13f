//! The drawing of a scenario as SVG: boxes for devices, lines for links, wide bands for tunnels, and a cross where a fault strikes.
//!
//! Nothing is said by colour alone: what a box is stands in it, lines differ by their dashes, and a cross has the number of its fault.
//! Colours are classes of the page's style sheet, so that the drawing follows its light and dark.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::graph::{self, Edge, Graph, Line, Shape, Zone};
use super::layout::{self, Spot};
use crate::plan::Plan;
use crate::report::story::plain;

/// Height of a box, and of a row with the gap below it.
const BOX: f64 = 54.0;
const ROW: f64 = 84.0;
/// Least and greatest width of a box, and what a character takes of it.
const NARROW: f64 = 92.0;
const WIDE: f64 = 190.0;
const BOLD: f64 = 7.6;
const SMALL: f64 = 6.1;
/// Least gap between columns.
const GAP: f64 = 56.0;
const MARGIN: f64 = 28.0;
/// Longest text in a box and at a line.
const TEXT: usize = 24;
const LABEL: usize = 18;

/// A drawing, and what it shows in words.
pub(super) struct Topology {
    /// An `svg` element.
    pub svg: String,
    /// One sentence for those who do not see it.
    pub words: String,
    /// Whether like devices are drawn as one.
    pub summarised: bool,
}

/// Draws a plan.
pub(super) fn draw(plan: &Plan) -> Topology {
    let graph = graph::graph(plan);
    let places = Places::of(&graph);
    let mut svg = String::new();
    let (width, height) = (places.width, places.height);
    let _ = writeln!(
        svg,
        "<svg class=\"topology\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         style=\"max-width:{width:.0}px\" role=\"img\" aria-labelledby=\"topology-words\">"
    );
    let (mut over, mut marks) = (String::new(), String::new());
    // Tunnels lie below what they lead through.
    let mut order: Vec<&Edge> = graph.edges.iter().collect();
    order.sort_by_key(|edge| edge.line);
    for (edge, curve) in order.iter().zip(curves(&order, &places)) {
        line(edge, &curve, &mut svg, &mut over);
        cross(curve.middle(), &edge.faults, &mut marks);
    }
    for (index, shape) in graph.shapes.iter().enumerate() {
        boxed(shape, places.frames[index], &mut svg);
        let Frame { x, y, width } = places.frames[index];
        cross([x + width - 6.0, y + 4.0], &shape.faults, &mut marks);
    }
    svg.push_str(&over);
    svg.push_str(&marks);
    svg.push_str("</svg>\n");
    let drawn: usize = graph.shapes.iter().map(|shape| shape.names.len()).sum();
    Topology { svg, words: words(&graph), summarised: drawn > graph.shapes.len() }
}

/// Where a box is.
#[derive(Clone, Copy, Default)]
struct Frame {
    x: f64,
    y: f64,
    width: f64,
}

struct Places {
    frames: Vec<Frame>,
    spots: Vec<Spot>,
    width: f64,
    height: f64,
}

impl Places {
    fn of(graph: &Graph) -> Self {
        let spots = layout::places(graph);
        let columns = spots.iter().map(|spot| spot.column + 1).max().unwrap_or_default();
        let mut widths = vec![NARROW; columns];
        for (shape, spot) in graph.shapes.iter().zip(&spots) {
            let [name, kind, detail] = texts(shape);
            let long = |text: &str, each: f64| text.chars().count() as f64 * each + 18.0;
            let needed = long(&name, BOLD).max(long(&kind, SMALL)).max(long(&detail, SMALL));
            widths[spot.column] = widths[spot.column].max(needed.min(WIDE)).ceil();
        }
        let mut gaps = vec![GAP; columns];
        for edge in graph.edges.iter().filter(|edge| edge.line != Line::Tunnel) {
            let [a, b] = edge.ends.map(|end| spots[end].column);
            let text = label(&edge.names).chars().count() as f64 * SMALL + 24.0;
            gaps[a.min(b)] = gaps[a.min(b)].max(text).ceil();
        }
        let mut left = vec![MARGIN; columns];
        for column in 1..columns {
            left[column] = left[column - 1] + widths[column - 1] + gaps[column - 1];
        }
        // A tunnel over a drawing of one row bends above it.
        let top = if graph.edges.iter().any(|edge| edge.line == Line::Tunnel) { MARGIN + 30.0 } else { MARGIN };
        let frame = |spot: &Spot| Frame { x: left[spot.column], y: top + spot.row * ROW, width: widths[spot.column] };
        let frames: Vec<Frame> = spots.iter().map(frame).collect();
        let right = frames.iter().map(|frame| frame.x + frame.width).fold(0.0, f64::max);
        let bottom = frames.iter().map(|frame| frame.y + BOX).fold(0.0, f64::max);
        Self { frames, spots, width: right + MARGIN, height: bottom + top }
    }

    fn middle(&self, shape: usize) -> [f64; 2] {
        let Frame { x, y, width } = self.frames[shape];
        [x + width / 2.0, y + BOX / 2.0]
    }
}

/// A cubic Bézier curve.
struct Curve([[f64; 2]; 4]);

impl Curve {
    fn middle(&self) -> [f64; 2] {
        let [a, b, c, d] = self.0;
        [0, 1].map(|axis| (a[axis] + 3.0 * b[axis] + 3.0 * c[axis] + d[axis]) / 8.0)
    }
}

/// The way of each line. Lines between the same two boxes, which links in parallel are, spread.
fn curves(edges: &[&Edge], places: &Places) -> Vec<Curve> {
    let pair = |edge: &Edge| (edge.ends[0].min(edge.ends[1]), edge.ends[0].max(edge.ends[1]));
    let mut all = Vec::with_capacity(edges.len());
    for (index, edge) in edges.iter().enumerate() {
        let parallel =
            |other: &&&Edge| pair(other) == pair(edge) && (other.line == Line::Tunnel) == (edge.line == Line::Tunnel);
        let count = edges.iter().filter(parallel).count();
        let mine = edges[..index].iter().filter(parallel).count();
        let spread = (mine as f64 - (count as f64 - 1.0) / 2.0) * 22.0;
        all.push(if edge.line == Line::Tunnel { band(edge, places, mine as f64) } else { way(edge, places, spread) });
    }
    all
}

fn way(edge: &Edge, places: &Places, spread: f64) -> Curve {
    let [a, b] = edge.ends;
    let (a, b) = if (places.spots[a].column, places.spots[a].order) <= (places.spots[b].column, places.spots[b].order) {
        (a, b)
    } else {
        (b, a)
    };
    let (from, to) = (places.frames[a], places.frames[b]);
    let (here, there) = (places.middle(a), places.middle(b));
    if places.spots[a].column != places.spots[b].column {
        let (x, end) = (from.x + from.width, to.x);
        let third = (end - x) / 3.0;
        return Curve([
            [x, here[1] + spread / 2.0],
            [x + third, here[1] + spread],
            [end - third, there[1] + spread],
            [end, there[1] + spread / 2.0],
        ]);
    }
    if places.spots[b].order - places.spots[a].order == 1 {
        let x = here[0].min(there[0]) + spread;
        let (y, end) = (from.y + BOX, to.y);
        let third = (end - y) / 3.0;
        return Curve([[x, y], [x, y + third], [x, end - third], [x, end]]);
    }
    // Past the boxes between them.
    let (x, end) = (from.x + from.width, to.x + to.width);
    let out = x.max(end) + 40.0 + spread;
    Curve([[x, here[1]], [out, here[1]], [out, there[1]], [end, there[1]]])
}

/// A tunnel bends away from the middle of its two ends, so that one over a single row of boxes is seen, too.
fn band(edge: &Edge, places: &Places, nth: f64) -> Curve {
    let [a, b] = edge.ends;
    let (here, there) = (places.middle(a), places.middle(b));
    let up = if there[1] <= here[1] { -1.0 } else { 1.0 };
    let lift = up * (BOX / 2.0 + 22.0 + 10.0 * nth);
    let third = (there[0] - here[0]) / 3.0;
    Curve([here, [here[0] + third, here[1] + lift * 1.3], [there[0] - third, there[1] + lift * 1.3], there])
}

fn line(edge: &Edge, curve: &Curve, below: &mut String, above: &mut String) {
    let [a, b, c, d] = curve.0;
    let (class, what) = match edge.line {
        Line::Link => ("link", "link"),
        Line::Path => ("path", "internet path"),
        Line::Attachment => ("attachment", "attachment inside AWS"),
        Line::Tunnel => ("tunnel", "tunnel"),
    };
    let title = if edge.names.is_empty() { what.to_owned() } else { format!("{what} {}", edge.names.join(", ")) };
    let _ = writeln!(
        below,
        "<path class=\"{class}\" d=\"M{:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}\"><title>{}</title></path>",
        a[0],
        a[1],
        b[0],
        b[1],
        c[0],
        c[1],
        d[0],
        d[1],
        escape(&title)
    );
    // A tunnel is called like the endpoint at which it ends.
    if edge.line != Line::Tunnel && !edge.names.is_empty() {
        let [x, y] = curve.middle();
        let y = y - if edge.faults.is_empty() { 6.0 } else { 15.0 };
        let _ =
            writeln!(above, "<text class=\"name\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(&label(&edge.names)));
    }
}

fn boxed(shape: &Shape, frame: Frame, svg: &mut String) {
    let Frame { x, y, width } = frame;
    let class = match shape.zone {
        Zone::Customer => "customer",
        Zone::Between => "between",
        Zone::Aws => "aws",
    };
    let [name, kind, detail] = texts(shape);
    let (middle, many) = (x + width / 2.0, shape.names.len() > 1);
    let _ = write!(svg, "<g class=\"{class}\"><title>{}</title>", escape(&shape.names.join(", ")));
    if many {
        let _ = write!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{BOX}\" rx=\"6\"/>",
            x + 4.0,
            y + 4.0
        );
    }
    let _ = write!(svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BOX}\" rx=\"6\"/>");
    let lines: Vec<(&str, &str)> = [("what", name.as_str()), ("kind", &kind), ("kind", &detail)]
        .into_iter()
        .filter(|(_, t)| !t.is_empty())
        .collect();
    let first = y + BOX / 2.0 + 4.5 - 7.5 * (lines.len() as f64 - 1.0);
    for (number, (class, text)) in lines.iter().enumerate() {
        let y = first + 15.0 * number as f64;
        let _ = write!(svg, "<text class=\"{class}\" x=\"{middle:.1}\" y=\"{y:.1}\">{}</text>", escape(text));
    }
    svg.push_str("</g>\n");
}

/// The three lines of a box.
fn texts(shape: &Shape) -> [String; 3] {
    let name = match &shape.names[..] {
        [one] => one.clone(),
        many => format!("{} \u{d7} {}", many.len(), shape.kind),
    };
    let (kind, detail) = match &shape.names[..] {
        [_] => (shape.kind.to_owned(), shape.detail.clone()),
        [first, .., last] => (format!("{first} \u{2026}"), last.clone()),
        [] => (String::new(), String::new()),
    };
    [name, kind, detail].map(|text| shorten(&plain(&text), TEXT))
}

fn label(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => shorten(&plain(one), LABEL),
        many => format!("\u{d7} {}", many.len()),
    }
}

/// A cross with the numbers of the faults that strike here.
fn cross([x, y]: [f64; 2], faults: &BTreeSet<usize>, marks: &mut String) {
    if faults.is_empty() {
        return;
    }
    let numbers: Vec<String> = faults.iter().take(4).map(usize::to_string).collect();
    let text = numbers.join(",") + if faults.len() > 4 { ",\u{2026}" } else { "" };
    let _ = writeln!(
        marks,
        "<g class=\"fault\"><title>fault {text}</title><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9\"/>\
         <path d=\"M{:.1} {:.1}l9 9m0 -9l-9 9\"/><text x=\"{:.1}\" y=\"{:.1}\">{text}</text></g>",
        x - 4.5,
        y - 4.5,
        x + 13.0,
        y + 4.0,
    );
}

/// "3 devices: …; links: lan (office to cgw), …": as much as can be listened to.
fn words(graph: &Graph) -> String {
    let name = |shape: &Shape| match &shape.names[..] {
        [one] => format!("{one} ({})", shape.kind),
        many => format!("{} \u{d7} {}", many.len(), shape.kind),
    };
    let devices: Vec<String> = graph.shapes.iter().map(name).collect();
    let called = |index: usize| graph.shapes[index].names.first().cloned().unwrap_or_default();
    let of = |line: &[Line]| -> Vec<String> {
        let of_line = graph.edges.iter().filter(|edge| line.contains(&edge.line));
        of_line
            .map(|edge| {
                let [a, b] = edge.ends.map(called);
                let name = label(&edge.names);
                if name.is_empty() { format!("{a} to {b}") } else { format!("{name} ({a} to {b})") }
            })
            .collect()
    };
    let (links, tunnels) = (of(&[Line::Link, Line::Path]), of(&[Line::Tunnel]));
    let part = |what: &str, all: &[String]| {
        if all.is_empty() { String::new() } else { format!(" {what}: {}.", all.join(", ")) }
    };
    let text = format!("Devices: {}.{}{}", devices.join(", "), part("Links", &links), part("Tunnels", &tunnels));
    plain(&text)
}

fn shorten(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.into();
    }
    let kept: String = text.chars().take(longest - 1).collect();
    format!("{kept}\u{2026}")
}

/// Text as it stands between tags and in attributes.
fn escape(text: &str) -> String {
    quick_xml::escape::escape(plain(text)).into_owned()
}
