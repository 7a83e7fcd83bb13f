//! Pictures of active_passive at moments that reports/active_passive.md tells of. In it a path goes silent at 306.437 s, the echo is
//! dark from 306.440 s to 334.000 s, and `back` from 306.500 s to 332.300 s.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use sim_core::time::{Duration, Instant};
use sim_scenarios::{NoSecrets, Scenario};

use super::*;
use crate::watch::keys::Key;
use crate::watch::speed::Speed;

const UNICODE: Theme = Theme { ascii: false, colours: true };
const ASCII: Theme = Theme { ascii: true, colours: false };

fn buffer(model: &mut Model<'_>, (width, height): (u16, u16), theme: Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut extent = Extent::default();
    terminal.draw(|frame| extent = draw(frame, model, theme)).unwrap();
    model.extent = extent;
    terminal.backend().buffer().clone()
}

/// The characters of a picture, without the blanks at the ends of lines.
fn picture(model: &mut Model<'_>, size: (u16, u16), theme: Theme) -> String {
    let buffer = buffer(model, size, theme);
    let line = |y: u16| {
        let cells = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..buffer.area.height).map(line).collect::<Vec<_>>().join("\n")
}

fn go(model: &mut Model<'_>, millis: u64) {
    model.go_to(Instant::START + Duration::from_millis(millis)).unwrap();
    while !model.work(u64::MAX) {}
}

fn active_passive() -> Scenario {
    let text = include_str!("../../../../scenarios/active_passive.ron");
    Scenario::parse("active_passive.ron", text, &NoSecrets).unwrap()
}

/// One run for all pictures: it is played forward once.
#[test]
fn active_passive_looks_like_its_report() {
    let scenario = active_passive();
    let mut model = Model::new(&scenario, Speed::Times(10_000)).unwrap();
    for (name, millis) in [("before", 200_000), ("dark", 320_000), ("recovered", 400_000), ("returned", 620_000)] {
        go(&mut model, millis);
        insta::assert_snapshot!(format!("{name}_80x24"), picture(&mut model, (80, 24), UNICODE));
        insta::assert_snapshot!(format!("{name}_120x40"), picture(&mut model, (120, 40), UNICODE));
        if name != "dark" {
            continue;
        }
        insta::assert_snapshot!("dark_ascii_80x24", picture(&mut model, (80, 24), ASCII));
        model.press(Key::Down).unwrap();
        model.press(Key::Enter).unwrap();
        insta::assert_snapshot!("device_80x24", picture(&mut model, (80, 24), UNICODE));
        insta::assert_snapshot!("device_120x40", picture(&mut model, (120, 40), UNICODE));
        // The end is where the page of this size ends.
        picture(&mut model, (80, 24), UNICODE);
        model.press(Key::End).unwrap();
        insta::assert_snapshot!("device_end_80x24", picture(&mut model, (80, 24), UNICODE));
        model.press(Key::Char('?')).unwrap();
        insta::assert_snapshot!("help_80x24", picture(&mut model, (80, 24), UNICODE));
        insta::assert_snapshot!("help_120x40", picture(&mut model, (120, 40), UNICODE));
        model.press(Key::Char('?')).unwrap();
        model.press(Key::Escape).unwrap();
    }
}

/// Without colours the picture has none, and with ASCII nothing else; at any size nothing fails.
#[test]
fn every_size_and_theme_can_be_drawn() {
    let scenario = active_passive();
    let mut model = Model::new(&scenario, Speed::Times(10_000)).unwrap();
    go(&mut model, 1_000);
    for keys in ["", "t", "g12", "?", "\n", "z"] {
        for key in keys.chars() {
            model.press(if key == '\n' { Key::Enter } else { Key::Char(key) }).unwrap();
        }
        for width in [1, 20, 39, 40, 41, 60, 79, 80, 109, 110, 111, 250] {
            for height in [1, 9, 10, 11, 12, 15, 24, 60] {
                let drawn = buffer(&mut model, (width, height), ASCII);
                let plain = |cell: &ratatui::buffer::Cell| {
                    cell.symbol().is_ascii() && cell.fg == Color::Reset && cell.bg == Color::Reset
                };
                assert!(drawn.content.iter().all(plain), "{keys} {width}x{height}");
                buffer(&mut model, (width, height), UNICODE);
            }
        }
    }
}
