//! What ESP costs beyond its cipher: sealing and opening a 1,400-octet packet with our SAs (headers, padding, window,
//! checksum) against `aws-lc-rs` doing nothing but AES-256-GCM over the same octets.
//!
//! Rounds of both alternate and the medians are compared, so that whatever else the machine does meets both alike.
//! The promise is a ratio of at most 1.35. Run with `cargo bench -p sim-core --bench esp`.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark reads a clock and prints; neither reaches the simulator"
)]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sim_core::packet::{Meta, Packet};
use sim_core::proto::esp::{
    DfBit, Encryption, InboundSa, Integrity, OutboundSa, Outer, ReplayWindow, SaKeys, Suite,
};
use sim_core::rng::{Purpose, Rng};
use sim_core::wire::ipv4::{HEADER_LEN, Ipv4Header, protocol};

const INNER_LEN: usize = 1400;
const ROUNDS: usize = 301;
const PACKETS_PER_ROUND: u32 = 2000;

fn main() {
    let mut bare = bare_gcm();
    let mut gcm = tunnel(Encryption::AesGcm16_256, Integrity::None);
    let mut cbc = tunnel(Encryption::AesCbc256, Integrity::HmacSha2_256_128);
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        times[0].push(nanoseconds_per_packet(PACKETS_PER_ROUND, &mut bare));
        times[1].push(nanoseconds_per_packet(PACKETS_PER_ROUND, &mut gcm));
        times[2].push(nanoseconds_per_packet(PACKETS_PER_ROUND / 20, &mut cbc));
    }
    let [bare, gcm, cbc] = times.map(median);
    println!("seal and open {INNER_LEN} octets, medians of {ROUNDS} alternating rounds");
    println!("bare AES-256-GCM            {bare:7.1} ns");
    println!(
        "ESP AES-256-GCM             {gcm:7.1} ns  {:.2} x bare",
        gcm / bare
    );
    println!(
        "ESP AES-256-CBC SHA-256-128 {cbc:7.1} ns  {:.2} x bare",
        cbc / bare
    );
}

/// The text of the ESP packet: 1,400 octets, 2 of padding, 2 of trailer.
fn bare_gcm() -> impl FnMut() {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a 32-octet key"));
    let mut buffer = vec![0x5a; INNER_LEN + 4 + 16];
    let mut number = 0_u64;
    move || {
        number += 1;
        let mut nonce = [9; 12];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        let nonce = || Nonce::assume_unique_for_key(nonce);
        let aad = || Aad::from(number.to_be_bytes());
        let (text, tag_place) = buffer.split_at_mut(INNER_LEN + 4);
        let tag = key.seal_in_place_separate_tag(nonce(), aad(), text);
        tag_place.copy_from_slice(tag.expect("it seals").as_ref());
        black_box(&mut buffer);
        let opened = key.open_in_place(nonce(), aad(), &mut buffer);
        black_box(opened.expect("it opens"));
    }
}

fn tunnel(encryption: Encryption, integrity: Integrity) -> impl FnMut() {
    let suite = Suite::new(encryption, integrity).expect("a suite");
    let keys = SaKeys {
        encryption: vec![7; encryption.keymat_len()].into(),
        integrity: vec![8; integrity.key_len()].into(),
    };
    let outer = Outer {
        src: Ipv4Addr::new(203, 0, 113, 1),
        dst: Ipv4Addr::new(198, 51, 100, 2),
        udp: Some((4500, 4500)),
        ttl: 64,
        df: DfBit::Clear,
    };
    let rng = Rng::stream(1, "bench", Purpose::Esp);
    let mut outbound = OutboundSa::new(1000, suite, &keys, outer, None, rng);
    let mut inbound = InboundSa::new(1000, suite, &keys, ReplayWindow::new(1024), None);
    let mut packet = inner_packet();
    move || {
        outbound.seal(black_box(&mut packet)).expect("it seals");
        inbound.open(black_box(&mut packet)).expect("it opens");
    }
}

fn inner_packet() -> Packet {
    let (src, dst) = (Ipv4Addr::new(192, 168, 0, 1), Ipv4Addr::new(10, 0, 0, 1));
    let payload = vec![0x5a; INNER_LEN - HEADER_LEN];
    Ipv4Header::new(src, dst, protocol::UDP).packet(&payload, Meta::default())
}

fn nanoseconds_per_packet(packets: u32, one: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..packets {
        one();
    }
    start.elapsed().as_nanos() as f64 / f64::from(packets)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
