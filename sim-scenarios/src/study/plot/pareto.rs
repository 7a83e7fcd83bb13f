//! What cannot be had together: failover time, false failovers and control traffic.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{FOOT, Frame, GREY, INK, LINE, MARGIN, Scale, TOP, WIDTH};
use super::{at, colour_bar, heading, picture, shade, short, write};

const HEIGHT: i32 = 380;
const GUTTER: i32 = 80;
const BAR: i32 = 120;

/// A variant and its three costs, of each of which less is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The variant.
    pub name: String,
    /// Its costs, in the order of the axes.
    pub costs: [f64; 3],
}

/// Which candidates no other beats: none is as good in everything and better in something.
pub fn front(candidates: &[Candidate]) -> Vec<bool> {
    let beats = |a: &Candidate, b: &Candidate| {
        let pairs = || a.costs.iter().zip(&b.costs);
        pairs().all(|(a, b)| a <= b) && pairs().any(|(a, b)| a < b)
    };
    candidates.iter().map(|one| !candidates.iter().any(|other| beats(other, one))).collect()
}

/// The candidates by their first two costs, the third as colour; those of the front filled, numbered and named below.
/// `axes` say what the costs are, with their units.
pub fn pareto(title: &str, axes: [&str; 3], candidates: &[Candidate]) -> String {
    let best = front(candidates);
    let named: Vec<usize> = (0..candidates.len()).filter(|number| best[*number]).collect();
    let foot = TOP + HEIGHT + FOOT;
    picture(foot + LINE * named.len() as i32 + MARGIN, |area| {
        heading(
            area,
            title,
            "less is better; numbered: no other is as good in all three and better in one; grey: beaten",
        )?;
        let cost = |axis: usize| candidates.iter().map(move |candidate| candidate.costs[axis]);
        let right = WIDTH - MARGIN - BAR;
        let frame = Frame { area, left: GUTTER, right, top: TOP, bottom: TOP + HEIGHT, x: Scale::fitting(cost(0)) };
        let y = Scale::fitting(cost(1));
        frame.horizontal(axes[0])?;
        frame.vertical(&y, axes[1], short)?;
        let range = cost(2).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let place = |one: &Candidate| (frame.column(one.costs[0]), y.map(one.costs[1], (frame.bottom, frame.top)));
        for one in candidates.iter().zip(&best).filter(|(_, best)| !**best).map(|(one, _)| one) {
            area.draw(&Circle::new(place(one), 5, GREY.stroke_width(1)))?;
        }
        for (order, number) in named.iter().enumerate() {
            let one = &candidates[*number];
            let (colour, ink) = shade(one.costs[2], range);
            let place = place(one);
            let mark = (order + 1).to_string();
            area.draw(&Circle::new(place, 11, colour.filled()))?;
            area.draw(&Circle::new(place, 11, INK.stroke_width(1)))?;
            write(area, &mark, place, 13.0, ink, at(HPos::Center, VPos::Center))?;
            let row = foot + LINE * order as i32 + LINE / 2;
            let [first, second, third] = one.costs.map(short);
            let text = format!("{mark}  {}  ({first}; {second}; {third})", one.name);
            write(area, &text, (GUTTER, row), 14.0, INK, at(HPos::Left, VPos::Center))?;
        }
        if range.0 <= range.1 {
            colour_bar(area, TOP, TOP + HEIGHT, axes[2], range)?;
        }
        Ok(())
    })
}
