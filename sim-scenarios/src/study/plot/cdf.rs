//! Cumulative distributions, one line a variant.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Area, COLOURS, Drawn, FOOT, Frame, GREY, INK, LINE, MARGIN, Scale, Series, TOP, WIDTH};
use super::{at, heading, picture, short, write};

const HEIGHT: i32 = 360;
const GUTTER: i32 = 66;
/// Dashes of the lines: pixels drawn, pixels left out; none is a whole line.
const DASHES: [Option<(i32, i32)>; 4] = [None, Some((9, 4)), Some((2, 3)), Some((16, 3))];

/// The share of runs that are at most so much, by variant. `axis` says what is measured, with its unit.
///
/// What was not seen to its end counts as larger than anything, so a line may end below 100 %; the name says how many.
pub fn cdf(title: &str, axis: &str, series: &[Series]) -> String {
    let foot = TOP + HEIGHT + FOOT;
    picture(foot + LINE * series.len() as i32 + MARGIN, |area| {
        heading(area, title, "share of runs that are at most so much")?;
        let values = series.iter().flat_map(|series| series.sample.values().iter().map(|measured| measured.value));
        let x = Scale::fitting(values);
        let frame = Frame { area, left: GUTTER, right: WIDTH - MARGIN - 10, top: TOP, bottom: TOP + HEIGHT, x };
        frame.horizontal(axis)?;
        let shares = Scale::Linear((0.0..1.0).into());
        frame.vertical(&shares, "share of runs (%)", |share| short(share * 100.0))?;
        for (number, one) in series.iter().enumerate() {
            let style = COLOURS[number % COLOURS.len()].stroke_width(2);
            let dash = DASHES[number % DASHES.len()];
            draw_line(area, staircase(&frame, &shares, one), dash, style)?;
            let y = foot + LINE * number as i32 + LINE / 2;
            draw_line(area, vec![(GUTTER, y), (GUTTER + 44, y)], dash, style)?;
            let (n, cut) = (one.sample.len(), one.sample.censored());
            let runs = format!(
                "{}  (n = {n}{})",
                one.name,
                if cut > 0 { format!(", {cut} not seen to the end") } else { String::new() }
            );
            let colour = if n == 0 { GREY } else { INK };
            write(area, &runs, (GUTTER + 54, y), 14.0, colour, at(HPos::Left, VPos::Center))?;
        }
        Ok(())
    })
}

/// The corners of the empirical distribution. It goes on to the right edge at the share that is known.
fn staircase(frame: &Frame, shares: &Scale, series: &Series) -> Vec<(i32, i32)> {
    let row = |share: f64| shares.map(share, (frame.bottom, frame.top));
    let (n, mut known) = (series.sample.len().max(1) as f64, 0.0);
    let mut corners = Vec::new();
    for measured in series.sample.values().iter().filter(|measured| !measured.censored) {
        let x = frame.column(measured.value);
        corners.push((x, row(known / n)));
        known += 1.0;
        corners.push((x, row(known / n)));
    }
    if !corners.is_empty() {
        corners.push((frame.right, row(known / n)));
    }
    corners.dedup();
    corners
}

fn draw_line(area: &Area, points: Vec<(i32, i32)>, dash: Option<(i32, i32)>, style: ShapeStyle) -> Drawn {
    match dash {
        None => Ok(area.draw(&PathElement::new(points, style))?),
        Some((drawn, left_out)) => {
            let line = plotters::element::DashedPathElement::new(points, drawn, left_out, style);
            Ok(area.draw(&line)?)
        }
    }
}
