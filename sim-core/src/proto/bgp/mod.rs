//! x
pub mod as_path;
pub mod attributes;
pub mod message;
pub mod notification;
pub mod open;
pub mod update;
