//! What our pictures have in common: ink, and a document to draw into.
//!
//! Text is drawn by the viewer's own sans-serif font; no font is read here, so a picture is the same bytes anywhere. Colours are those
//! of Okabe and Ito (Color Universal Design, 2008), which readers with any colour vision tell apart, without yellow, which is lost on
//! white.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::story::plain;

/// Text and axes.
pub const INK: RGBColor = RGBColor(33, 33, 33);
/// Text that is read second.
pub const GREY: RGBColor = RGBColor(117, 117, 117);
/// Lines behind the data.
pub const FAINT: RGBColor = RGBColor(189, 189, 189);
/// A fault, and what is lost to it.
pub const BAD: RGBColor = RGBColor(198, 40, 40);

/// Okabe and Ito's colours.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// The same.
pub const VERMILION: RGBColor = RGBColor(213, 94, 0);
/// The same.
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
/// The same.
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);
/// The same.
pub const ORANGE: RGBColor = RGBColor(230, 159, 0);
/// The same.
pub const SKY: RGBColor = RGBColor(86, 180, 233);

/// What is drawn on.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What becomes of it: drawing into a text does not fail.
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws into a new SVG document of this size, on white.
pub fn svg(width: i32, height: i32, draw: impl FnOnce(&Area) -> Drawn) -> String {
    let mut svg = String::new();
    {
        let size = (width.max(1) as u32, height.max(1) as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).expect("drawing into a string does not fail");
        draw(&area).expect("drawing into a string does not fail");
        area.present().expect("drawing into a string does not fail");
    }
    svg
}

/// Text of a size, with that of its corners or edges at a place. What no XML may hold becomes visible.
pub fn write(area: &Area, text: &str, place: (i32, i32), size: f64, ink: RGBColor, pos: Pos) -> Drawn {
    let style = TextStyle::from(("sans-serif", size).into_font()).color(&ink).pos(pos);
    Ok(area.draw(&Text::new(plain(text), place, style))?)
}

/// Text with its top at a place.
pub fn below(area: &Area, text: &str, place: (i32, i32), size: f64, align: HPos, ink: RGBColor) -> Drawn {
    write(area, text, place, size, ink, Pos::new(align, VPos::Top))
}

/// A text of at most so many characters: of a longer one the end is left out.
pub fn shorten(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.into();
    }
    let kept: String = text.chars().take(longest - 1).collect();
    format!("{kept}…")
}
