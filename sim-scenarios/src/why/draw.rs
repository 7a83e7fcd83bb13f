//! The critical path as a picture: a waterfall of its waits, and beside it, thin, the branches that did not decide, each with
//! the slack that it had.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::document::{Branch, Explained, Row, Why};
use crate::picture::{self, Area, BAD, BLUE, Drawn, FAINT, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, below, shorten};
use crate::report::story::{self, plain};

const WIDTH: i32 = 1_000;
const GUTTER: i32 = 330;
const MARGIN: i32 = 30;
const TOP: i32 = 64;
const LANE: i32 = 26;
const THIN: i32 = 18;
const BOTTOM: i32 = 62;
/// Characters of a label that fit into the gutter.
const LABEL: usize = 48;
/// Most branches that are drawn.
const BRANCHES: usize = 6;

const DETECTION: RGBColor = VERMILION;
const RETRY: RGBColor = PURPLE;
const AWS_INTERNAL: RGBColor = BLUE;
const FLIGHT: RGBColor = GREEN;
const REPAIR: RGBColor = ORANGE;
const OTHER: RGBColor = SKY;

const KINDS: [(RGBColor, &str); 6] = [
    (DETECTION, "detection"),
    (RETRY, "retry, repetition"),
    (AWS_INTERNAL, "AWS-internal delay"),
    (REPAIR, "repair"),
    (FLIGHT, "flight, probe grid"),
    (OTHER, "other timer"),
];

/// The colour of a wait, by whose it is.
fn colour(owner: &str) -> RGBColor {
    match owner {
        "hold_timer"
        | "dpd_idle"
        | "dpd_timeout"
        | "bfd_detection"
        | "track_timeout"
        | "track_interval"
        | "lacp_current_while"
        | "vrrp_master_down_timer"
        | "client_vpn_dead" => DETECTION,
        "retransmission"
        | "ike_retry"
        | "half_open"
        | "connect_retry_timer"
        | "idle_hold_timer"
        | "tcp_retransmission"
        | "client_vpn_connect" => RETRY,
        "programming_delay" | "propagation_delay" | "endpoint_health" => AWS_INTERNAL,
        "flight" | "probe_grid" => FLIGHT,
        "repair" => REPAIR,
        _ => OTHER,
    }
}

/// The picture as an SVG document. `None` if there is no path to draw.
pub fn render(why: &Why) -> Option<String> {
    let explained = why.outage.as_ref().filter(|explained| !explained.path.is_empty())?;
    let lanes = lanes(explained);
    let height = TOP + lanes.iter().map(Lane::height).sum::<i32>() + BOTTOM;
    Some(picture::svg(WIDTH, height, |area| draw(area, why, explained, &lanes, height)))
}

/// A row of the picture.
struct Lane {
    label: String,
    bars: Vec<Bar>,
    thin: bool,
    /// From where to where it had time to spare.
    spare: Option<(f64, f64)>,
}

struct Bar {
    from: f64,
    to: f64,
    colour: RGBColor,
    text: String,
}

impl Lane {
    const fn height(&self) -> i32 {
        if self.thin { THIN } else { LANE }
    }
}

fn bar(row: &Row) -> Option<Bar> {
    let wait = row.wait.as_ref()?;
    let to = row.step.at_s.0;
    let from = to.saturating_sub(row.step.waited_s.0);
    Some(Bar {
        from: from.as_secs_f64(),
        to: to.as_secs_f64(),
        colour: colour(&wait.owner),
        text: row.step.waited_s.to_string(),
    })
}

fn lanes(explained: &Explained) -> Vec<Lane> {
    let lane = |row: &Row| {
        let label = format!("{}: {}", row.step.node, story::step_text(&row.step));
        bar(row).map(|bar| Lane { label, bars: vec![bar], thin: false, spare: None })
    };
    let branch = |branch: &Branch| {
        let at = branch.needed.at_s.0.as_secs_f64();
        Lane {
            label: branch.needed.text.clone(),
            bars: branch.path.iter().filter_map(bar).collect(),
            thin: true,
            spare: Some((at, at + branch.slack_s.0.as_secs_f64())),
        }
    };
    let path = explained.path.iter().filter_map(lane);
    path.chain(explained.beside.iter().take(BRANCHES).map(branch)).collect()
}

fn draw(area: &Area, why: &Why, explained: &Explained, lanes: &[Lane], height: i32) -> Drawn {
    let (first, last) = (&explained.path[0].step, &explained.path[explained.path.len() - 1].step);
    let (start, end) = (first.at_s.0.as_secs_f64(), last.at_s.0.as_secs_f64());
    let length = (end - start).max(1e-9);
    let x = |at: f64| {
        let share = ((at - start) / length).clamp(0.0, 1.0);
        GUTTER + (share * f64::from(WIDTH - GUTTER - MARGIN)) as i32
    };
    let fault = explained.outage.fault.as_deref().unwrap_or_default();
    let title = format!(
        "{}, seed {}: {} {}, {} because of {fault}",
        why.scenario,
        why.seed,
        explained.outage.probe,
        explained.outage.direction.replace('_', " "),
        explained.outage.duration_s,
    );
    below(area, &title, (MARGIN, 12), 16.0, HPos::Left, INK)?;
    let floor = height - BOTTOM;
    axis(area, start, length, x, floor)?;
    let mut top = TOP;
    for lane in lanes {
        draw_lane(area, lane, top, x)?;
        top += lane.height();
    }
    let strike = x(start);
    area.draw(&PathElement::new([(strike, TOP - 8), (strike, floor)], BAD.stroke_width(2)))?;
    below(area, &format!("{fault} at {}", first.at_s), (strike + 4, TOP - 22), 12.0, HPos::Left, BAD)?;
    legend(area, height - 22)
}

/// Ticks at a round distance (1, 2 or 5 times a power of ten), at most ten, counted from the fault.
fn axis(area: &Area, start: f64, length: f64, x: impl Fn(f64) -> i32, floor: i32) -> Drawn {
    let step = (-9..12)
        .flat_map(|exponent| [1.0, 2.0, 5.0].map(|n| n * 10f64.powi(exponent)))
        .find(|step| length / step <= 10.0)
        .unwrap_or(length);
    for tick in 0..=(length / step) as i32 {
        let at = f64::from(tick) * step;
        area.draw(&PathElement::new([(x(start + at), TOP - 4), (x(start + at), floor + 4)], FAINT))?;
        let label = format!("+{} s", (at * 1e9).round() / 1e9);
        below(area, &label, (x(start + at), floor + 8), 11.0, HPos::Center, INK)?;
    }
    Ok(())
}

fn draw_lane(area: &Area, lane: &Lane, top: i32, x: impl Fn(f64) -> i32) -> Drawn {
    let label = shorten(&plain(&lane.label), LABEL);
    let (size, ink, inset) = if lane.thin { (11.0, RGBColor(97, 97, 97), 6) } else { (12.0, INK, 4) };
    let (upper, lower) = (top + inset, top + lane.height() - inset);
    below(area, &label, (GUTTER - 8, top + lane.height() / 2 - 7), size, HPos::Right, ink)?;
    if let Some((from, to)) = lane.spare {
        let middle = (upper + lower) / 2;
        for at in (x(from)..x(to)).step_by(6) {
            let until = (at + 3).min(x(to));
            area.draw(&PathElement::new([(at, middle), (until, middle)], FAINT.stroke_width(2)))?;
        }
    }
    for bar in &lane.bars {
        // A wait of less than a pixel was still one.
        let (from, to) = (x(bar.from), x(bar.to).max(x(bar.from) + 1));
        area.draw(&Rectangle::new([(from, upper), (to, lower)], bar.colour.filled()))?;
        if !lane.thin {
            beside_or_inside(area, bar, (from, to), top + 6)?;
        }
    }
    Ok(())
}

/// Writes how long a wait was into its bar, or beside it where it does not fit.
fn beside_or_inside(area: &Area, bar: &Bar, (from, to): (i32, i32), top: i32) -> Drawn {
    let needed = 7 * bar.text.chars().count() as i32 + 8;
    let (at, align, ink) = if needed < to - from {
        (from + 4, HPos::Left, WHITE)
    } else if to + needed < WIDTH - MARGIN {
        (to + 4, HPos::Left, INK)
    } else {
        (from - 4, HPos::Right, INK)
    };
    below(area, &bar.text, (at, top), 11.0, align, ink)
}

fn legend(area: &Area, y: i32) -> Drawn {
    for (place, (colour, text)) in KINDS.iter().enumerate() {
        let left = MARGIN + 155 * place as i32;
        area.draw(&Rectangle::new([(left, y), (left + 12, y + 12)], colour.filled()))?;
        below(area, text, (left + 18, y), 12.0, HPos::Left, INK)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn every_wait_and_branch_is_drawn() {
        let svg = render(&fixture::failover()).unwrap();
        for text in [
            "bgp tunnel-a: hold_timer",
            "27.900 s",
            "programming_delay",
            "probe office-to-app",
            "path-a-dark at 60.000 s",
            "cgw: 172.31",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn names_cannot_become_markup() {
        let mut why = fixture::failover();
        let explained = why.outage.as_mut().unwrap();
        explained.outage.fault = Some("</text><script>\u{1}&\"'".into());
        explained.path[1].step.node = "<b>".into();
        let svg = render(&why).unwrap();
        assert!(!svg.contains("<script") && !svg.contains("<b>") && !svg.contains('\u{1}'));
        assert!(svg.contains("&lt;script&gt;"));
    }

    #[test]
    fn without_a_path_there_is_no_picture() {
        let mut why = fixture::failover();
        why.outage.as_mut().unwrap().path.clear();
        assert_eq!(render(&why), None);
        why.outage = None;
        assert_eq!(render(&why), None);
    }
}
