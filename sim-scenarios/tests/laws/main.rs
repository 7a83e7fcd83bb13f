//! What AWS documents and what the field claims, each as a test that cites it.

mod firewall;
