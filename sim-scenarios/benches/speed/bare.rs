//! How fast a machine is: what it takes to seal and open 1,400 octets by AES-256-GCM, beside which floors are read. They suppose 0.37 us.

use std::hint::black_box;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::meter::{Report, alternate, duration, undisturbed};

/// Octets of the inner IP packet.
pub const SIZE: u16 = 1400;
/// Packets of a round.
pub const ROUND: u64 = 2_000;

/// Prints it, and answers nanoseconds.
pub fn machine(report: &Report) -> f64 {
    let [cost] = alternate(report.samples(301, 51), [&mut gcm()]);
    let cost = undisturbed(cost);
    report.note("bare AES-256-GCM, seal and open 1400 octets", &duration(cost));
    cost
}

/// Nothing but the cipher, over the text of the ESP packet: 1,400 octets, 2 of padding, 2 of trailer.
pub fn gcm() -> impl FnMut() -> u64 {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("a 32-octet key"));
    let mut buffer = vec![0x5a; usize::from(SIZE) + 4 + 16];
    let mut number = 0_u64;
    let mut one = move || {
        number += 1;
        let mut nonce = [9; 12];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        let nonce = || Nonce::assume_unique_for_key(nonce);
        let aad = || Aad::from(number.to_be_bytes());
        let (text, tag_place) = buffer.split_at_mut(usize::from(SIZE) + 4);
        let tag = key.seal_in_place_separate_tag(nonce(), aad(), text);
        tag_place.copy_from_slice(tag.expect("it seals").as_ref());
        black_box(&mut buffer);
        let opened = key.open_in_place(nonce(), aad(), &mut buffer);
        black_box(opened.expect("it opens"));
    };
    move || {
        (0..ROUND).for_each(|_| one());
        ROUND
    }
}
