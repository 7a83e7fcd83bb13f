//! Boxes, one row a variant.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{COLOURS, FOOT, Frame, GREY, INK, MARGIN, Scale, Series, TOP, WIDTH};
use super::{at, heading, line, picture, write};
use crate::study::statistics::CONFIDENCE;

const ROW: i32 = 40;
/// Half the height of a box.
const HALF: i32 = 11;
/// Width of a character of a name, about.
const CHARACTER: i32 = 7;

/// Quartiles, median with its interval, and all that lies beyond 5 and 95 %, by variant. `axis` says what is measured, with
/// its unit.
pub fn boxes(title: &str, axis: &str, series: &[Series]) -> String {
    let bottom = TOP + ROW * series.len().max(1) as i32;
    picture(bottom + FOOT + MARGIN, |area| {
        let note = "box: quartiles; bar: median with its 95 % interval; line: 5 to 95 %; dots: beyond; arrow: not seen to the end";
        heading(area, title, note)?;
        let longest = series.iter().map(|one| one.name.chars().count()).max().unwrap_or(0) as i32;
        let left = MARGIN + (longest * CHARACTER).clamp(60, 420) + 12;
        let values = series.iter().flat_map(|series| series.sample.values().iter().map(|measured| measured.value));
        let frame = Frame { area, left, right: WIDTH - MARGIN - 20, top: TOP, bottom, x: Scale::fitting(values) };
        frame.horizontal(axis)?;
        for (number, one) in series.iter().enumerate() {
            let y = TOP + ROW * number as i32 + ROW / 2;
            let colour = COLOURS[number % COLOURS.len()];
            write(area, &one.name, (left - 10, y), 14.0, INK, at(HPos::Right, VPos::Center))?;
            let quantile = |p: f64| one.sample.quantile(p, CONFIDENCE);
            let (Some(low), Some(first), Some(median), Some(third), Some(high)) =
                (quantile(0.05), quantile(0.25), quantile(0.5), quantile(0.75), quantile(0.95))
            else {
                write(area, "nothing measured", (left + 10, y), 13.0, GREY, at(HPos::Left, VPos::Center))?;
                continue;
            };
            let x = |value: f64| frame.column(value);
            line(area, (x(low.value), y), (x(high.value), y), INK)?;
            for end in [low, high] {
                line(area, (x(end.value), y - 5), (x(end.value), y + 5), INK)?;
            }
            let corners = [(x(first.value), y - HALF), (x(third.value), y + HALF)];
            area.draw(&Rectangle::new(corners, colour.mix(0.35).filled()))?;
            area.draw(&Rectangle::new(corners, colour.stroke_width(1)))?;
            line(area, (x(median.value), y - HALF), (x(median.value), y + HALF), INK.stroke_width(3))?;
            let (from, to) = (median.interval.low, median.interval.high);
            let from = from.map_or(frame.left, x);
            let to = to.map_or(frame.right, x);
            line(area, (from, y + HALF + 4), (to, y + HALF + 4), INK.stroke_width(2))?;
            for measured in one.sample.values() {
                let beyond = measured.value < low.value || measured.value > high.value;
                if measured.censored {
                    let tip = x(measured.value);
                    let arrow = [(tip, y - 4), (tip + 8, y), (tip, y + 4)];
                    area.draw(&Polygon::new(arrow, INK.filled()))?;
                } else if beyond {
                    area.draw(&Circle::new((x(measured.value), y), 2, colour.filled()))?;
                }
            }
        }
        line(area, (left, TOP), (left, bottom), INK)?;
        Ok(())
    })
}
