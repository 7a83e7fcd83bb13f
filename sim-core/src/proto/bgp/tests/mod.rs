//! Tests of the speaker, by subject.
