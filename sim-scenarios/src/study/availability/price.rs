//! What a design costs, by a price file of the user's own. No price is shipped: they differ by region, contract and day.
//!
//! ```text
//! item,price,per
//! vpn_connection,0.05,hour
//! leased_line,300,month
//! router,1200,year
//! dark_minute,40,dark_minute
//! ```
//!
//! A row is a price in any currency, the same in all rows, and what it is for: an `hour`, a `month`, a `year`, or a `dark_minute`.
//! The latter is added for each expected dark minute, whatever the design; the others for each item that the design has.

use serde::Deserialize;
use thiserror::Error;

use super::{Answer, MONTHS, YEAR};
use crate::diagnostic::nearest;

/// What a price is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// An hour of having it.
    Hour,
    /// A month of having it.
    Month,
    /// A year of having it.
    Year,
    /// A minute in which the probe is dark.
    DarkMinute,
}

/// A row of the file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The item.
    pub item: String,
    /// Its price.
    pub price: f64,
    /// For what.
    pub per: Per,
}

/// What is wrong with prices.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unpriced {
    /// The file does not read.
    #[error("line {line}: {problem}; expected item,price,per with hour, month, year or dark_minute")]
    Malformed {
        /// Line, from 1.
        line: u64,
        /// What is wrong there.
        problem: String,
    },
    /// An item that a design has is not in the file.
    #[error("the price file has no `{item}`, which design `{design}` has{}", near.as_ref().map_or(String::new(), |near| format!(": did you mean `{near}`?")))]
    Missing {
        /// The item.
        item: String,
        /// The design.
        design: String,
        /// The nearest item of the file.
        near: Option<String>,
    },
}

/// Reads a price file.
///
/// # Errors
/// The first line that does not read, or that repeats an item, or has a price that is no number of at least zero.
pub fn read(text: &str) -> Result<Vec<Price>, Unpriced> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
    let mut prices: Vec<Price> = Vec::new();
    let head = reader.headers().map_err(|error| malformed(&error))?.clone();
    for record in reader.records() {
        let record = record.map_err(|error| malformed(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |problem: String| Unpriced::Malformed { line, problem };
        let price: Price = record.deserialize(Some(&head)).map_err(|error| match error.kind() {
            csv::ErrorKind::Deserialize { err, .. } => wrong(err.kind().to_string()),
            _ => malformed(&error),
        })?;
        if !price.price.is_finite() || price.price < 0.0 {
            return Err(wrong(format!("`{}` is no price", price.price)));
        }
        if prices.iter().any(|other| other.item == price.item) {
            return Err(wrong(format!("`{}` has a price already", price.item)));
        }
        prices.push(price);
    }
    Ok(prices)
}

fn malformed(error: &csv::Error) -> Unpriced {
    let line = error.position().map_or(1, csv::Position::line);
    Unpriced::Malformed { line, problem: error.to_string() }
}

/// What a design costs in a year: what is paid for, and what its expected darkness costs.
///
/// # Errors
/// If an item has no price.
pub fn cost(answer: &Answer, prices: &[Price]) -> Result<(f64, f64), Unpriced> {
    let mut paid = 0.0;
    for (item, number) in &answer.items {
        let Some(price) = prices.iter().find(|price| price.item == *item) else {
            let near = nearest(item, prices.iter().map(|price| price.item.as_str())).map(str::to_owned);
            return Err(Unpriced::Missing { item: item.clone(), design: answer.design.clone(), near });
        };
        let times = match price.per {
            Per::Hour => YEAR / 60.0,
            Per::Month => MONTHS as f64,
            Per::Year => 1.0,
            // Counted below, for every design.
            Per::DarkMinute => 0.0,
        };
        paid += number * price.price * times;
    }
    let dark = prices.iter().filter(|price| price.per == Per::DarkMinute);
    Ok((paid, dark.map(|price| price.price * answer.expected).sum()))
}
