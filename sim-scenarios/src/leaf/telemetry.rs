//! The leaves of alarms and flow logs.

use super::{Because, Leaf, Scalar};
use crate::plan::{AlarmState, Comparison, Metric, MissingData, Statistic, TrafficType};
use schemars::{Schema, json_schema};

/// A number, perhaps with a decimal point.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Number(pub(crate) f64);

impl Leaf for Number {
    const EXPECTED: &'static str = "a number like 1 or \"0.5\"";

    fn schema() -> Schema {
        json_schema!({ "type": ["integer", "string"], "description": Self::EXPECTED })
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        match scalar {
            Scalar::Whole(n) => Ok(Self(*n as f64)),
            Scalar::Text(text) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Self(number)),
                Ok(_) | Err(_) => Err(None),
            },
            Scalar::Truth(_) | Scalar::Word => Err(None),
        }
    }
}

impl Leaf for Metric {
    const EXPECTED: &'static str = "the name of a metric";

    fn words() -> Vec<&'static str> {
        Self::all().map(Self::name).collect()
    }

    fn read(scalar: &Scalar) -> Result<Self, Because> {
        let text = scalar.text()?;
        Self::all().find(|metric| metric.name() == text).ok_or(None)
    }
}

words! {
    Statistic: "a statistic" {
        "SampleCount" => Self::SampleCount,
        "Average" => Self::Average,
        "Sum" => Self::Sum,
        "Minimum" => Self::Minimum,
        "Maximum" => Self::Maximum,
    }
    Comparison: "a comparison" {
        "GreaterThanOrEqualToThreshold" => Self::GreaterThanOrEqualToThreshold,
        "GreaterThanThreshold" => Self::GreaterThanThreshold,
        "LessThanThreshold" => Self::LessThanThreshold,
        "LessThanOrEqualToThreshold" => Self::LessThanOrEqualToThreshold,
    }
    TrafficType: "a type of traffic" {
        "ALL" => Self::All,
        "ACCEPT" => Self::Accept,
        "REJECT" => Self::Reject,
    }
    MissingData: "what a missing datapoint is" {
        "breaching" => Self::Breaching,
        "notBreaching" => Self::NotBreaching,
        "ignore" => Self::Ignore,
        "missing" => Self::Missing,
    }
    AlarmState: "the state of an alarm" {
        "OK" => Self::Ok,
        "ALARM" => Self::Alarm,
        "INSUFFICIENT_DATA" => Self::InsufficientData,
    }
}
