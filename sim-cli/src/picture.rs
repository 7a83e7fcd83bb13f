//! From SVG to PNG, for places that show no SVG: slides, chats, old browsers.
//!
//! Text is set in DejaVu Sans, which is part of the program, and never in a font of this machine: the same SVG gives the
//! same octets everywhere. What DejaVu has no glyph for (CJK, emoji) is drawn as an empty box.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Source};
use resvg::usvg::{Options, Tree};
use thiserror::Error;

use crate::failure::Failure;

/// Most pixels of a picture, 160 MB of memory while it is drawn: a larger one is drawn at a smaller scale.
const MOST_PIXELS: f32 = 40e6;

/// Why there is no picture.
#[derive(Debug, Error)]
enum Undrawable {
    /// It is no SVG.
    #[error("it is no SVG: {0}")]
    NoSvg(#[from] resvg::usvg::Error),
    /// It has no size, or one beyond what a PNG can have.
    #[error("it has {width} x {height} pixels")]
    NoSize { width: f32, height: f32 },
    /// The encoder has failed.
    #[error("it cannot be encoded: {0}")]
    NotEncoded(String),
}

/// Pixels for each unit of our own drawings: sharp on a screen of twice the density.
const SCALE: f32 = 2.0;

/// One of our drawings as PNG, for the file of that name.
pub fn of(svg: &str, place: &Path) -> Result<Vec<u8>, Failure> {
    png(svg, SCALE).map_err(|error| Failure::Undeliverable {
        path: place.display().to_string(),
        reason: error.to_string(),
        help: None,
    })
}

/// The octets of a PNG of an SVG document on white ground, `scale` pixels for each of its units.
///
/// # Errors
/// If the text is no SVG, or no picture can have its size.
fn png(svg: &str, scale: f32) -> Result<Vec<u8>, Undrawable> {
    let options = Options { fontdb: fonts(), font_family: SANS.into(), ..Options::default() };
    let tree = Tree::from_str(svg, &options)?;
    let (width, height) = (tree.size().width(), tree.size().height());
    let scale = scale.min((MOST_PIXELS / (width * height)).sqrt());
    let (wide, high) = ((width * scale).ceil(), (height * scale).ceil());
    // The conversion saturates, and a size of nothing or of too much has no pixmap.
    let canvas = Pixmap::new(wide as u32, high as u32);
    let mut canvas = canvas.ok_or(Undrawable::NoSize { width: wide, height: high })?;
    canvas.fill(Color::WHITE);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut canvas.as_mut());
    canvas.encode_png().map_err(|error| Undrawable::NotEncoded(error.to_string()))
}

const SANS: &str = "DejaVu Sans";
const MONO: &str = "DejaVu Sans Mono";

/// The faces that our pictures use: regular, bold and monospaced. Whatever family an SVG asks for, it is one of them.
fn fonts() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let load = || {
        let mut fonts = Database::new();
        for face in [dejavu::sans::regular(), dejavu::sans::bold(), dejavu::sans_mono::regular()] {
            fonts.load_font_source(Source::Binary(Arc::new(face)));
        }
        fonts.set_sans_serif_family(SANS);
        fonts.set_serif_family(SANS);
        fonts.set_cursive_family(SANS);
        fonts.set_fantasy_family(SANS);
        fonts.set_monospace_family(MONO);
        Arc::new(fonts)
    };
    Arc::clone(FONTS.get_or_init(load))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(svg: &str, scale: f32) -> Pixmap {
        Pixmap::decode_png(&png(svg, scale).unwrap()).unwrap()
    }

    fn inked(picture: &Pixmap) -> usize {
        picture.pixels().iter().filter(|pixel| pixel.red() < 128).count()
    }

    fn svg(inside: &str) -> String {
        format!(r#"<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40">{inside}</svg>"#)
    }

    #[test]
    fn a_picture_has_its_size_times_the_scale_on_white() {
        let picture = pixels(&svg(r#"<rect x="10" y="10" width="20" height="5"/>"#), 2.0);
        assert_eq!((picture.width(), picture.height()), (240, 80));
        assert_eq!(inked(&picture), 40 * 10);
        assert!(picture.pixels().iter().all(|pixel| pixel.alpha() == 255));
    }

    /// A machine without any font, as a container is, draws the text of any family.
    #[test]
    fn text_of_any_family_is_drawn() {
        for family in ["sans-serif", "system-ui, Helvetica", "monospace", "No Such Font"] {
            let text = svg(&format!(r#"<text x="4" y="24" font-size="20" font-family="{family}">vpn</text>"#));
            assert!(inked(&pixels(&text, 1.0)) > 60, "{family}");
        }
    }

    #[test]
    fn what_is_wide_in_dejavu_is_wide_in_the_picture() {
        let ink = |text: &str| inked(&pixels(&svg(&format!(r#"<text x="4" y="24">{text}</text>"#)), 4.0));
        assert!(ink("WWWW") > 2 * ink("iiii"), "{} {}", ink("WWWW"), ink("iiii"));
    }

    #[test]
    fn a_huge_picture_is_drawn_smaller() {
        let picture = pixels(r#"<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="160000"/>"#, 2.0);
        assert!(picture.width() * picture.height() <= 41_000_000);
        assert_eq!(picture.height() / picture.width(), 160);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(matches!(png("<html/>", 1.0), Err(Undrawable::NoSvg(_))));
        assert!(matches!(png("", 1.0), Err(Undrawable::NoSvg(_))));
        assert!(matches!(png(&svg(""), 0.0), Err(Undrawable::NoSize { .. })));
    }
}
