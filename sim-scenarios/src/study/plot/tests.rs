//! Pictures of made-up values, as text that can be compared and as shapes that keep to their places.

use proptest::prelude::*;

use super::*;
use crate::study::statistics::Measured;

fn series() -> Vec<Series> {
    let dark = Measured { value: 60.0, censored: true };
    let spread = |from: f64, step: f64| (0..20).map(move |i| Measured::from(from + step * f64::from(i)));
    vec![
        Series { name: "hold 30 s".into(), sample: spread(20.0, 0.5).collect() },
        Series { name: "hold 10 s".into(), sample: spread(6.5, 0.2).collect() },
        Series { name: "no detector".into(), sample: spread(40.0, 0.3).take(17).chain([dark; 3]).collect() },
        Series { name: "nothing measured".into(), sample: Sample::default() },
    ]
}

fn heat() -> Heat {
    let cell = |value: f64| Some(Cell { value, at_least: false });
    Heat {
        title: "hold_and_loss: false failovers".into(),
        quantity: "mean of false failovers (sessions)".into(),
        x: ("loss (%)".into(), vec!["0".into(), "1".into(), "5".into()]),
        y: ("hold (s)".into(), vec!["3".into(), "10".into()]),
        cells: vec![
            vec![cell(0.0), cell(1.5), Some(Cell { value: 12.0, at_least: true })],
            vec![cell(0.0), None, cell(0.25)],
        ],
    }
}

fn candidates() -> Vec<Candidate> {
    let one = |name: &str, costs| Candidate { name: name.into(), costs };
    vec![
        one("fast", [0.9, 3.0, 9000.0]),
        one("middle", [9.0, 0.5, 900.0]),
        one("slow", [28.0, 0.0, 300.0]),
        one("slow and noisy", [30.0, 0.0, 900.0]),
    ]
}

#[test]
fn pictures_are_the_same_bytes_anywhere() {
    insta::assert_snapshot!("cdf", cdf("a study: dark", "dark (s)", &series()));
    insta::assert_snapshot!("boxes", boxes("a study: dark", "dark (s)", &series()));
    insta::assert_snapshot!("heat", heat().render());
    insta::assert_snapshot!(
        "pareto",
        pareto(
            "a study: what cannot be had together",
            ["failover (s)", "false failovers", "control traffic (packets)"],
            &candidates()
        )
    );
}

/// "slow and noisy" is beaten by "slow" in two costs and equal in the third; no other is beaten.
#[test]
fn the_front_is_what_no_other_beats() {
    assert_eq!(front(&candidates()), [true, true, true, false]);
    let twins = vec![candidates()[0].clone(), candidates()[0].clone()];
    assert_eq!(front(&twins), [true, true], "equals do not beat each other");
}

#[test]
fn numbers_have_three_digits_that_count() {
    let cases = [
        (0.0, "0"),
        (0.012_34, "0.0123"),
        (1.0, "1"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (123.4, "123"),
        (12_345.0, "12300"),
        (-2.5, "-2.5"),
        (0.999_9, "1"),
        (99.95, "100"),
        (f64::NAN, "-"),
        (525_960.0, "526000"),
        (15_912_345.0, "15.9 M"),
        (-2.5e9, "-2.5 G"),
    ];
    for (value, text) in cases {
        assert_eq!(short(value), text, "{value}");
    }
}

/// Where each text of a picture stands.
fn texts(svg: &str) -> Vec<(i32, i32, String)> {
    let number = |line: &str, name: &str| -> i32 {
        let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let mut lines = svg.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with("<text") {
            found.push((number(line, " x"), number(line, " y"), lines.next().unwrap().to_owned()));
        }
    }
    found
}

/// The names of variants stand below the data, each on a line of its own.
#[test]
fn names_do_not_stand_on_the_data() {
    let svg = cdf("t", "dark (s)", &series());
    let names: Vec<i32> = texts(&svg).iter().filter(|(_, _, text)| text.contains("n = ")).map(|(_, y, _)| *y).collect();
    assert_eq!(names.len(), 4);
    assert!(names.iter().all(|y| *y > TOP + 360 + FOOT));
    assert!(names.windows(2).all(|two| two[1] - two[0] == LINE));
}

proptest! {
    /// Whatever was measured, something is drawn, within its frame.
    #[test]
    fn any_values_can_be_drawn(values in prop::collection::vec((-1e9f64..1e9, any::<bool>()), 0..30), scale in -12i32..9) {
        let sample: Sample =
            values.iter().map(|(value, censored)| Measured { value: value * 10f64.powi(scale), censored: *censored }).collect();
        let series = [Series { name: "x".into(), sample }];
        for svg in [cdf("t", "x (s)", &series), boxes("t", "x (s)", &series)] {
            prop_assert!(svg.ends_with("</svg>\n"));
            for (x, _, text) in texts(&svg) {
                prop_assert!((0..=WIDTH).contains(&x), "{text} at {x}");
            }
        }
    }
}
