//! Values of parameters: as they are written, and as the numbers that they are.

use core::fmt;

use schemars::{Schema, json_schema};
use sim_core::time::Duration;

use super::results::Value;
use crate::leaf::{Because, Leaf, Percent, RATE, SHARE, SIZE, Scalar, TIME, quantity};

/// What a number counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Nanoseconds; shown in seconds.
    Time,
    /// 1e-9 of the whole; shown in percent.
    Share,
    /// Bits per second.
    Rate,
    /// Octets.
    Size,
    /// Nothing in particular.
    Plain,
}

impl Unit {
    /// What a column of such values counts.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Time => "s",
            Self::Share => "%",
            Self::Rate => "bit/s",
            Self::Size => "octets",
            Self::Plain => "1",
        }
    }
}

/// A whole number of a unit: exact, as the scenario language has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quantity {
    /// How many.
    pub number: u64,
    /// Of what.
    pub unit: Unit,
}

impl Quantity {
    /// In the unit in which it is shown.
    pub fn shown(self) -> f64 {
        let scale = match self.unit {
            Unit::Time => 1e9,
            Unit::Share => 1e7,
            Unit::Rate | Unit::Size | Unit::Plain => 1.0,
        };
        self.number as f64 / scale
    }

    fn of_text(text: &str) -> Result<Self, Because> {
        let units = [(TIME, Unit::Time), (SHARE, Unit::Share), (RATE, Unit::Rate), (SIZE, Unit::Size)];
        let found = |(names, unit): (&[(&str, u64)], Unit)| Some(Self { number: quantity(text, names).ok()?, unit });
        units.into_iter().find_map(found).ok_or(None)
    }
}

/// As the scenario language reads it back.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Time => Duration::from_nanos(self.number).fmt(f),
            Unit::Share => Percent(self.number).fmt(f),
            Unit::Rate => write!(f, "{}bps", self.number),
            Unit::Size => write!(f, "{}B", self.number),
            Unit::Plain => self.number.fmt(f),
        }
    }
}

impl Leaf for Quantity {
    const EXPECTED: &'static str = "a quantity like \"30s\", \"0.1%\", \"100Mbps\", \"64KiB\" or 3";

    fn schema() -> Schema {
        json_schema!({ "type": ["integer", "string"], "description": Self::EXPECTED })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar {
            Scalar::Whole(number) => Ok(Self { number: *number, unit: Unit::Plain }),
            Scalar::Text(text) => Self::of_text(text),
            Scalar::Truth(_) | Scalar::Word => Err(None),
        }
    }
}

/// A value as `--set` takes it behind the equals sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting(pub(crate) String);

impl Setting {
    /// The number that it is, if it is one: a quantity with its unit, or a plain decimal.
    pub fn number(&self) -> Option<(f64, Unit)> {
        let plain =
            || self.0.parse().ok().filter(|number: &f64| number.is_finite()).map(|number| (number, Unit::Plain));
        plain().or_else(|| Quantity::of_text(&self.0).ok().map(|quantity| (quantity.shown(), quantity.unit)))
    }
}

impl Leaf for Setting {
    const EXPECTED: &'static str = "a value like \"30s\", \"[14, 19]\", 3 or true";

    fn schema() -> Schema {
        json_schema!({ "type": ["string", "integer", "boolean"], "description": Self::EXPECTED })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar {
            Scalar::Text(text) if text.trim().is_empty() => Err(Some("the value is missing".into())),
            Scalar::Text(text) => Ok(Self(text.clone())),
            Scalar::Whole(number) => Ok(Self(number.to_string())),
            Scalar::Truth(truth) => Ok(Self(truth.to_string())),
            Scalar::Word => Err(Some("it must be in quotes".into())),
        }
    }
}

/// The values of one parameter, as a column has them: numbers if all are numbers of one unit, else as they are written.
pub(crate) fn column(settings: &[Setting]) -> (Vec<Value>, Option<Unit>) {
    let numbers: Option<Vec<(f64, Unit)>> = settings.iter().map(Setting::number).collect();
    match numbers {
        Some(numbers) if numbers.windows(2).all(|two| two[0].1 == two[1].1) && !numbers.is_empty() => {
            let unit = numbers[0].1;
            (numbers.into_iter().map(|(number, _)| Value::Number(number)).collect(), Some(unit))
        }
        _ => (settings.iter().map(|setting| Value::Text(setting.0.clone())).collect(), None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings(texts: &[&str]) -> Vec<Setting> {
        texts.iter().map(|text| Setting((*text).to_owned())).collect()
    }

    #[test]
    fn a_column_is_of_numbers_if_all_are_of_one_unit() {
        assert_eq!(
            column(&settings(&["300ms", "1min"])),
            (vec![Value::Number(0.3), Value::Number(60.0)], Some(Unit::Time))
        );
        assert_eq!(
            column(&settings(&["0.1%", "5%"])),
            (vec![Value::Number(0.1), Value::Number(5.0)], Some(Unit::Share))
        );
        assert_eq!(column(&settings(&["2", "0.5"])), (vec![Value::Number(2.0), Value::Number(0.5)], Some(Unit::Plain)));
        for mixed in [["30s", "off"], ["30s", "30"], ["1%", "1s"]] {
            let texts = mixed.map(|text| Value::Text(text.into()));
            assert_eq!(column(&settings(&mixed)), (texts.to_vec(), None));
        }
    }

    proptest! {
        #[test]
        fn a_quantity_reads_as_it_prints(number: u64) {
            for unit in [Unit::Time, Unit::Share, Unit::Rate, Unit::Size] {
                let quantity = Quantity { number, unit };
                prop_assert_eq!(Quantity::of_text(&quantity.to_string()), Ok(quantity));
            }
        }
    }
}
