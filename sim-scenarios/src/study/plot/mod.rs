//! Pictures of a study: distributions by variant, boxes by variant, a map over two parameters, and what cannot be had together.
//!
//! Lines also differ by their dashes and fronts by filled marks, for print without colour. Names of variants stand below or beside the
//! data, never on it.

mod boxes;
mod cdf;
mod heat;
mod pareto;

use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::statistics::Sample;
use crate::picture::{Area, BLUE, Drawn, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION, svg, write};

pub use boxes::boxes;
pub use cdf::cdf;
pub use heat::{Cell, Heat};
pub use pareto::{Candidate, front, pareto};

const WIDTH: i32 = 900;
const MARGIN: i32 = 20;
/// Title and the line below it.
const TOP: i32 = 70;
/// Ticks and title of an axis below the data.
const FOOT: i32 = 58;
/// Height of a line of names.
const LINE: i32 = 22;

/// Ticks across the data.
const GRID: RGBColor = RGBColor(224, 224, 224);
const COLOURS: [RGBColor; 7] = [BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK];

/// Values of a variant under its name.
#[derive(Clone, Debug)]
pub struct Series {
    /// The variant.
    pub name: String,
    /// Its values.
    pub sample: Sample,
}

/// Draws into a new document of this height.
fn picture(height: i32, draw: impl FnOnce(&Area) -> Drawn) -> String {
    svg(WIDTH, height, draw)
}

fn at(h: HPos, v: VPos) -> Pos {
    Pos::new(h, v)
}

fn line(area: &Area, from: (i32, i32), to: (i32, i32), style: impl Into<ShapeStyle>) -> Drawn {
    Ok(area.draw(&PathElement::new([from, to], style))?)
}

/// The title, and what there is to know before one looks.
fn heading(area: &Area, title: &str, note: &str) -> Drawn {
    write(area, title, (MARGIN, MARGIN), 20.0, INK, at(HPos::Left, VPos::Top))?;
    write(area, note, (MARGIN, MARGIN + 26), 13.0, GREY, at(HPos::Left, VPos::Top))
}

/// How values lie along an axis.
enum Scale {
    Linear(RangedCoordf64),
    Logarithmic(plotters::coord::combinators::LogCoord<f64>),
}

impl Scale {
    /// One on which all values fit: logarithmic if they are positive and span more than a factor of fifty, and from zero on
    /// if that is near.
    fn fitting(values: impl Iterator<Item = f64>) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        if low > 0.0 && high > 50.0 * low {
            return Self::Logarithmic((low / 1.2..high * 1.2).log_scale().into());
        }
        if low >= 0.0 && low < 0.4 * high {
            return Self::Linear((0.0..high * 1.05).into());
        }
        let room = if high > low { 0.06 * (high - low) } else { 0.5 * high.abs().max(1.0) };
        // What is never negative is not drawn as if it could be.
        let floor = if low >= 0.0 { (low - room).max(0.0) } else { low - room };
        Self::Linear((floor..high + room).into())
    }

    fn map(&self, value: f64, pixels: (i32, i32)) -> i32 {
        match self {
            Self::Linear(coord) => coord.map(&value, pixels),
            Self::Logarithmic(coord) => coord.map(&value, pixels),
        }
    }

    fn ticks(&self, most: usize) -> Vec<f64> {
        match self {
            Self::Linear(coord) => coord.key_points(most),
            // The library divides decades; all of one, or the decades alone.
            Self::Logarithmic(coord) => {
                let range = coord.range();
                let decades = (range.start.log10().floor() as i32)..=(range.end.log10().ceil() as i32);
                let fine = decades.clone().count() <= 4;
                let steps: &[f64] = if fine { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let all = decades.flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)));
                all.filter(|value| range.contains(value)).collect()
            }
        }
    }
}

/// The rectangle of the data, with its scales.
struct Frame<'a, 'b> {
    area: &'a Area<'b>,
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
    x: Scale,
}

impl Frame<'_, '_> {
    fn column(&self, value: f64) -> i32 {
        self.x.map(value, (self.left, self.right))
    }

    /// Lines, numbers and title of the axis below.
    fn horizontal(&self, title: &str) -> Drawn {
        for tick in self.x.ticks(9) {
            let x = self.column(tick);
            line(self.area, (x, self.top), (x, self.bottom), GRID)?;
            write(self.area, &short(tick), (x, self.bottom + 6), 13.0, INK, at(HPos::Center, VPos::Top))?;
        }
        line(self.area, (self.left, self.bottom), (self.right, self.bottom), INK)?;
        let middle = (self.left + self.right) / 2;
        write(self.area, title, (middle, self.bottom + 28), 14.0, INK, at(HPos::Center, VPos::Top))
    }

    /// The same of the axis on the left.
    fn vertical(&self, scale: &Scale, title: &str, number: impl Fn(f64) -> String) -> Drawn {
        for tick in scale.ticks(8) {
            let y = scale.map(tick, (self.bottom, self.top));
            line(self.area, (self.left, y), (self.right, y), GRID)?;
            write(self.area, &number(tick), (self.left - 6, y), 13.0, INK, at(HPos::Right, VPos::Center))?;
        }
        line(self.area, (self.left, self.top), (self.left, self.bottom), INK)?;
        let style = TextStyle::from(("sans-serif", 14).into_font().transform(FontTransform::Rotate270));
        let style = style.color(&INK).pos(at(HPos::Center, VPos::Top));
        Ok(self.area.draw(&Text::new(title.to_owned(), (MARGIN - 4, (self.top + self.bottom) / 2), style))?)
    }
}

/// A colour for a value within a range, and one in which text can be read on it.
fn shade(value: f64, range: (f64, f64)) -> (RGBColor, RGBColor) {
    let share = if range.1 > range.0 { (value - range.0) / (range.1 - range.0) } else { 0.5 };
    // Dark is much.
    let colour = ViridisRGB.get_color((1.0 - share.clamp(0.0, 1.0)) as f32);
    let luma = 0.299 * f32::from(colour.0) + 0.587 * f32::from(colour.1) + 0.114 * f32::from(colour.2);
    (colour, if luma > 140.0 { INK } else { WHITE })
}

/// A bar of all colours on the right, with the ends of their range.
fn colour_bar(area: &Area, top: i32, bottom: i32, title: &str, range: (f64, f64)) -> Drawn {
    let (left, right) = (WIDTH - MARGIN - 74, WIDTH - MARGIN - 56);
    for y in top..bottom {
        let share = f64::from(bottom - 1 - y) / f64::from((bottom - 1 - top).max(1));
        let (colour, _) = shade(range.0 + share * (range.1 - range.0), range);
        area.draw(&Rectangle::new([(left, y), (right, y + 1)], colour.filled()))?;
    }
    for (value, y, v) in [(range.1, top, VPos::Top), (range.0, bottom, VPos::Bottom)] {
        write(area, &short(value), (right + 6, y), 13.0, INK, at(HPos::Left, v))?;
    }
    let style = TextStyle::from(("sans-serif", 14).into_font().transform(FontTransform::Rotate270));
    let style = style.color(&INK).pos(at(HPos::Center, VPos::Bottom));
    Ok(area.draw(&Text::new(title.to_owned(), (left - 6, (top + bottom) / 2), style))?)
}

/// Three digits that count: 0.0123, 1.23, 12.3, 123, 12300.
pub(crate) fn short(value: f64) -> String {
    for (unit, sign) in [(1e9, "G"), (1e6, "M")] {
        if value.abs() >= unit && value.is_finite() {
            return format!("{} {sign}", short(value / unit));
        }
    }
    if value == 0.0 || !value.is_finite() {
        return if value.is_finite() { "0".into() } else { "-".into() };
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = (2 - magnitude).clamp(0, 9) as usize;
    let rounded = 10f64.powi((magnitude - 2).max(0));
    let text = format!("{:.decimals$}", if magnitude > 2 { (value / rounded).round() * rounded } else { value });
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests;
