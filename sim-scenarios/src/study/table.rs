//! The runs of a study as tables for other programs, one row a run.
//!
//! Columns are `run`, the parameters, `seed`, `digest`, `failure`, the metrics. Equal results give equal octets.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use super::results::{Results, Row, Value};

/// Rows that a reader of Parquet takes at once.
const GROUP: usize = 1 << 16;

/// A column, by what it takes out of a row.
enum Column {
    Run,
    Number(usize),
    Word(usize),
    Seed,
    Digest,
    Failure,
    Metric(usize),
}

/// The columns with their names. A parameter is a column of numbers if all its values are.
fn columns(results: &Results) -> Vec<(&str, Column)> {
    let is_number = |n: usize| results.rows.iter().all(|row| matches!(row.point[n], Value::Number(_)));
    let parameter = |n: usize| if is_number(n) { Column::Number(n) } else { Column::Word(n) };
    let parameters = results.parameters.iter().enumerate().map(|(n, name)| (name.as_str(), parameter(n)));
    let metrics = results.metrics.iter().enumerate().map(|(n, name)| (name.as_str(), Column::Metric(n)));
    let mut all = vec![("run", Column::Run)];
    all.extend(parameters);
    all.extend([("seed", Column::Seed), ("digest", Column::Digest), ("failure", Column::Failure)]);
    all.extend(metrics);
    all
}

fn written(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
    }
}

/// Comma-separated values (RFC 4180, lines ended by LF). What there is not, is empty; numbers have as many digits as they need.
pub fn csv(results: &Results) -> Vec<u8> {
    let columns = columns(results);
    let cell = |row: &Row, column: &Column| match column {
        Column::Run => row.run.to_string(),
        Column::Number(n) | Column::Word(n) => written(&row.point[*n]),
        Column::Seed => row.seed.to_string(),
        Column::Digest => row.digest.clone().unwrap_or_default(),
        Column::Failure => row.failure.clone().unwrap_or_default(),
        Column::Metric(n) => row.metrics[*n].map_or(String::new(), |number| number.to_string()),
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let heads = std::iter::once(columns.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    let rows = results.rows.iter().map(|row| columns.iter().map(|(_, column)| cell(row, column)).collect());
    for record in heads.chain(rows) {
        writer.write_record(record).expect("all rows are as long, and memory takes them");
    }
    writer.into_inner().expect("memory takes them")
}

/// Apache Parquet, compressed by Snappy: `run` and `seed` are INT64, numbers DOUBLE, texts UTF-8; what there is not, is null.
///
/// # Errors
/// None that is known: columns have names of their own, and memory takes them.
pub fn parquet(results: &Results) -> Result<Vec<u8>, ParquetError> {
    let columns = columns(results);
    let fields = columns.iter().map(|(name, column)| field(name, column)).collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder("runs").with_fields(fields).build()?);
    let properties = WriterProperties::builder()
        .set_created_by(concat!("vpnsim ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    for rows in results.rows.chunks(GROUP) {
        let mut group = writer.next_row_group()?;
        for (_, column) in &columns {
            let Some(mut target) = group.next_column()? else { break };
            match column {
                Column::Run => whole(target.typed(), rows.iter().map(|row| row.run))?,
                Column::Seed => whole(target.typed(), rows.iter().map(|row| row.seed))?,
                Column::Number(n) => numbers(
                    target.typed(),
                    rows.iter().map(|row| match row.point[*n] {
                        Value::Number(number) => Some(number),
                        Value::Text(_) => None,
                    }),
                )?,
                Column::Metric(n) => numbers(target.typed(), rows.iter().map(|row| row.metrics[*n]))?,
                Column::Word(n) => texts(target.typed(), rows.iter().map(|row| Some(written(&row.point[*n]))))?,
                Column::Digest => texts(target.typed(), rows.iter().map(|row| row.digest.clone()))?,
                Column::Failure => texts(target.typed(), rows.iter().map(|row| row.failure.clone()))?,
            }
            target.close()?;
        }
        group.close()?;
    }
    writer.into_inner()
}

fn field(name: &str, column: &Column) -> Result<TypePtr, ParquetError> {
    let (of, repetition, logical) = match column {
        Column::Run | Column::Seed => (PhysicalType::INT64, Repetition::REQUIRED, None),
        Column::Number(_) | Column::Metric(_) => (PhysicalType::DOUBLE, Repetition::OPTIONAL, None),
        Column::Word(_) | Column::Digest | Column::Failure => {
            (PhysicalType::BYTE_ARRAY, Repetition::OPTIONAL, Some(LogicalType::String))
        }
    };
    let field = Type::primitive_type_builder(name, of).with_repetition(repetition).with_logical_type(logical);
    Ok(Arc::new(field.build()?))
}

type Writer<'w, T> = parquet::column::writer::ColumnWriterImpl<'w, T>;

fn whole(writer: &mut Writer<'_, Int64Type>, values: impl Iterator<Item = u64>) -> Result<(), ParquetError> {
    // Both are below 2^53.
    let values: Vec<i64> = values.map(|value| value as i64).collect();
    writer.write_batch(&values, None, None).map(drop)
}

/// What is there, and for each row whether it is.
fn levels<T>(values: impl Iterator<Item = Option<T>>) -> (Vec<T>, Vec<i16>) {
    let (mut there, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        there.extend(value);
    }
    (there, levels)
}

fn numbers(writer: &mut Writer<'_, DoubleType>, values: impl Iterator<Item = Option<f64>>) -> Result<(), ParquetError> {
    let (there, levels) = levels(values);
    writer.write_batch(&there, Some(&levels), None).map(drop)
}

fn texts(
    writer: &mut Writer<'_, ByteArrayType>,
    values: impl Iterator<Item = Option<String>>,
) -> Result<(), ParquetError> {
    let (there, levels) = levels(values.map(|text| text.map(|text| ByteArray::from(text.into_bytes()))));
    writer.write_batch(&there, Some(&levels), None).map(drop)
}
