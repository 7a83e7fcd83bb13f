//! A map over two parameters.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{FOOT, GREY, INK, MARGIN, TOP, WIDTH};
use super::{at, colour_bar, heading, picture, shade, short, write};

const ROW: i32 = 46;
const GUTTER: i32 = 130;
/// Room for the bar of colours.
const BAR: i32 = 120;

/// What a cell says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Its value.
    pub value: f64,
    /// True if that is a lower limit.
    pub at_least: bool,
}

/// A quantity over two parameters.
#[derive(Clone, Debug)]
pub struct Heat {
    /// What the picture shows.
    pub title: String,
    /// The quantity, with its unit.
    pub quantity: String,
    /// The parameter that goes to the right, with its unit, and its values.
    pub x: (String, Vec<String>),
    /// The one that goes up, and its values, the first at the bottom.
    pub y: (String, Vec<String>),
    /// Rows, from the bottom, of cells; `None` where nothing was measured.
    pub cells: Vec<Vec<Option<Cell>>>,
}

impl Heat {
    /// The picture.
    pub fn render(&self) -> String {
        let rows = self.y.1.len().max(1) as i32;
        let bottom = TOP + 16 + ROW * rows;
        picture(bottom + FOOT + MARGIN, |area| {
            heading(area, &self.title, "each cell: all its runs; dark is much; blank: nothing measured")?;
            let (left, right) = (GUTTER, WIDTH - MARGIN - BAR);
            let values = self.cells.iter().flatten().flatten().map(|cell| cell.value);
            let range = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            let columns = self.x.1.len().max(1) as i32;
            let column = |number: i32| left + (right - left) * number / columns;
            for (row, cells) in self.cells.iter().enumerate() {
                let low = bottom - ROW * row as i32;
                for (number, cell) in cells.iter().enumerate() {
                    let (from, to) = (column(number as i32), column(number as i32 + 1));
                    let Some(cell) = cell else {
                        area.draw(&Rectangle::new([(from, low - ROW), (to, low)], GREY.stroke_width(1)))?;
                        continue;
                    };
                    let (colour, ink) = shade(cell.value, range);
                    area.draw(&Rectangle::new([(from, low - ROW), (to, low)], colour.filled()))?;
                    area.draw(&Rectangle::new([(from, low - ROW), (to, low)], WHITE.stroke_width(1)))?;
                    let text = format!("{}{}", if cell.at_least { ">= " } else { "" }, short(cell.value));
                    write(area, &text, ((from + to) / 2, low - ROW / 2), 14.0, ink, at(HPos::Center, VPos::Center))?;
                }
                let name = self.y.1.get(row).map_or("", String::as_str);
                write(area, name, (left - 8, low - ROW / 2), 13.0, INK, at(HPos::Right, VPos::Center))?;
            }
            for (number, name) in self.x.1.iter().enumerate() {
                let middle = (column(number as i32) + column(number as i32 + 1)) / 2;
                write(area, name, (middle, bottom + 6), 13.0, INK, at(HPos::Center, VPos::Top))?;
            }
            let middle = (left + right) / 2;
            write(area, &self.x.0, (middle, bottom + 28), 14.0, INK, at(HPos::Center, VPos::Top))?;
            let style = TextStyle::from(("sans-serif", 14).into_font().transform(FontTransform::Rotate270));
            let style = style.color(&INK).pos(at(HPos::Center, VPos::Top));
            let place = (MARGIN - 4, (bottom - ROW * rows + bottom) / 2);
            area.draw(&Text::new(self.y.0.clone(), place, style))?;
            if range.0 <= range.1 {
                colour_bar(area, bottom - ROW * rows, bottom, &self.quantity, range)?;
            }
            Ok(())
        })
    }
}
