//! The report as a picture: one lane for each probe direction, best route and session, with faults marked through all.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::Outcome;
use super::lanes::{Lane, Shade, lanes};
use super::model::Fault;
use super::story::plain;
use crate::picture::{self, Area, BAD, BLUE, Drawn, FAINT, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, below, shorten};
use sim_core::time::Instant;

const WIDTH: i32 = 1_000;
const GUTTER: i32 = 250;
const MARGIN: i32 = 20;
const TOP: i32 = 64;
const LANE: i32 = 22;
const BOTTOM: i32 = 64;
/// Characters of a label that fit into the gutter.
const LABEL: usize = 36;

const GOOD: RGBColor = RGBColor(46, 125, 50);
const BETWEEN: RGBColor = RGBColor(249, 168, 37);
const ABSENT: RGBColor = RGBColor(224, 224, 224);
/// Colours of next hops, in order of first use.
const HOPS: [RGBColor; 6] = [BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION];

/// The whole picture as an SVG document.
pub fn render(outcome: &Outcome) -> String {
    let lanes = lanes(outcome);
    let height = TOP + LANE * lanes.len().max(1) as i32 + BOTTOM;
    picture::svg(WIDTH, height, |area| draw(area, outcome, &lanes, height))
}

fn seconds(d: sim_core::time::Duration) -> f64 {
    d.as_secs_f64()
}

fn at(instant: Instant) -> f64 {
    seconds(instant.since_start())
}

fn colour(shade: Shade) -> RGBColor {
    match shade {
        Shade::Good => GOOD,
        Shade::Hop(number) => HOPS[number % HOPS.len()],
        Shade::Absent => ABSENT,
        Shade::Between => BETWEEN,
        Shade::Bad => BAD,
    }
}

fn draw(area: &Area, outcome: &Outcome, lanes: &[Lane], height: i32) -> Drawn {
    let end = seconds(outcome.report.simulated_s.0).max(1e-9);
    let x = |at: f64| {
        let share = (at / end).clamp(0.0, 1.0);
        GUTTER + (share * f64::from(WIDTH - GUTTER - MARGIN)) as i32
    };
    let title = format!("{}, seed {}", outcome.report.scenario, outcome.report.seed);
    below(area, &title, (MARGIN, 12), 16.0, HPos::Left, INK)?;

    let floor = height - BOTTOM;
    axis(area, end, x, floor)?;
    for (row, lane) in lanes.iter().enumerate() {
        draw_lane(area, lane, TOP + row as i32 * LANE, x)?;
    }
    for (n, fault) in outcome.report.faults.iter().enumerate() {
        mark(area, fault, n, x(seconds(fault.at_s.0)), floor)?;
    }
    legend(area, height - 18)
}

/// A round distance of ticks (1, 2 or 5 times a power of ten) of which there are at most a dozen.
pub(super) fn step(end: f64) -> f64 {
    let round = (-9..12).flat_map(|exponent| [1.0, 2.0, 5.0].map(|n| n * 10f64.powi(exponent)));
    let mut enough = round.filter(|step| end / step <= 12.0);
    enough.next().unwrap_or(end)
}

fn axis(area: &Area, end: f64, x: impl Fn(f64) -> i32, floor: i32) -> Drawn {
    let step = step(end);
    for tick in 0..=(end / step) as i32 {
        let at = f64::from(tick) * step;
        area.draw(&PathElement::new([(x(at), TOP - 4), (x(at), floor + 4)], FAINT))?;
        let label = format!("{} s", (at * 1e9).round() / 1e9);
        below(area, &label, (x(at), floor + 8), 11.0, HPos::Center, INK)?;
    }
    Ok(())
}

fn draw_lane(area: &Area, lane: &Lane, top: i32, x: impl Fn(f64) -> i32) -> Drawn {
    let label = shorten(&plain(&lane.label), LABEL);
    below(area, &label, (GUTTER - 8, top + 5), 12.0, HPos::Right, INK)?;
    for span in &lane.spans {
        let (from, to) = (x(at(span.from)), x(at(span.to)));
        // A stretch of less than a pixel still happened.
        let corners = [(from, top + 3), (to.max(from + 1), top + LANE - 3)];
        area.draw(&Rectangle::new(corners, colour(span.shade).filled()))?;
        let text = plain(&span.text);
        if 7 * text.chars().count() as i32 + 8 < to - from {
            let ink = if span.shade == Shade::Absent { INK } else { WHITE };
            below(area, &text, (from + 4, top + 5), 11.0, HPos::Left, ink)?;
        }
    }
    Ok(())
}

fn mark(area: &Area, fault: &Fault, n: usize, x: i32, floor: i32) -> Drawn {
    let colour = if fault.heals.is_some() { INK } else { BAD };
    // Two rows of names, so that neighbours do not write over each other.
    let top = TOP - 28 + 13 * (n % 2) as i32;
    for y in (top..floor).step_by(6) {
        area.draw(&PathElement::new([(x, y), (x, y + 3)], colour.stroke_width(2)))?;
    }
    let name = shorten(&plain(&fault.id), LABEL);
    let (anchor, offset) = if x > WIDTH * 2 / 3 { (HPos::Right, -4) } else { (HPos::Left, 4) };
    below(area, &name, (x + offset, top), 12.0, anchor, colour)
}

fn legend(area: &Area, y: i32) -> Drawn {
    let entries =
        [(GOOD, "answered, established"), (BAD, "probes lost"), (BETWEEN, "coming up"), (ABSENT, "down, no route")];
    for (i, (colour, text)) in entries.iter().enumerate() {
        let left = GUTTER + 180 * i as i32;
        area.draw(&Rectangle::new([(left, y), (left + 12, y + 12)], colour.filled()))?;
        below(area, text, (left + 18, y), 12.0, HPos::Left, INK)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Detail, fixture};

    #[test]
    fn names_cannot_become_markup() {
        let mut outcome = fixture::failover();
        outcome.report.faults[0].id = "</text><script>\u{1}&\"'".into();
        outcome.report.sessions[0].name = "<b>".into();
        let svg = render(&outcome);
        assert!(!svg.contains("<script") && !svg.contains("<b>"));
        assert!(svg.contains("&lt;script&gt;"));
        assert!(!svg.contains('\u{1}'));
    }

    #[test]
    fn an_empty_run_still_draws() {
        let mut outcome = fixture::failover();
        outcome.report.sessions.clear();
        outcome.report.faults.clear();
        outcome.report.simulated_s = Default::default();
        outcome.detail = Detail::default();
        assert!(render(&outcome).ends_with("</svg>\n"));
    }

    #[test]
    fn every_lane_and_fault_is_named() {
        let outcome = fixture::failover();
        let svg = render(&outcome);
        for name in [
            "path-a-dark",
            "path-a-dark/heal",
            "office-to-app forward",
            "office-to-app round trip",
            "route cgw to 172.31.0.0/16",
            "bgp vpn-a tunnel-a",
            "ike vpn-b tunnel-b",
        ] {
            assert!(svg.contains(name), "{name}");
        }
        if let Some(path) = option_env!("VPNSIM_LOOK_AT_SVG") {
            std::fs::write(path, &svg).unwrap();
        }
    }
}
