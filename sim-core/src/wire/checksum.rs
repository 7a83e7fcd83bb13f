//! The Internet checksum: whole (RFC 1071) and changed in place (RFC 1624).
//!
//! A *sum* here is the ones' complement sum of 16-bit words in network order, not yet complemented. Sums of parts that
//! begin at even offsets add up with [`add`].

use std::net::{Ipv4Addr, Ipv6Addr};

/// The ones' complement sum of `bytes`; an odd last octet counts as the high half of a word (RFC 1071 section 1).
pub fn sum(bytes: &[u8]) -> u16 {
    // Words are added 64 bits at a time in the machine's order and turned once at the end (RFC 1071 section 2, B and C). Four
    // sums, each with room for its carries, do not wait for one another.
    let (blocks, rest) = bytes.as_chunks::<32>();
    let (words, rest) = rest.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let mut sums = [u64::from_ne_bytes(last).into(), 0, 0, 0];
    for block in blocks {
        sums.iter_mut()
            .zip(block.as_chunks::<8>().0)
            .for_each(|(sum, word)| *sum += u128::from(u64::from_ne_bytes(*word)));
    }
    let total =
        sums.iter().sum::<u128>() + words.iter().map(|word| u128::from(u64::from_ne_bytes(*word))).sum::<u128>();
    // What carried out of 64 bits is worth one again: 2^64 is 1 in this arithmetic.
    let (low, carry) = (total as u64).overflowing_add((total >> 64) as u64);
    fold(u64::from(fold(low)) + u64::from(carry)).to_be()
}

/// The ones' complement sum of two sums.
pub fn add(a: u16, b: u16) -> u16 {
    fold(u64::from(a) + u64::from(b))
}

/// The sum over the pseudo-header of UDP and TCP (RFC 768, RFC 9293 section 3.1).
pub fn pseudo_header(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, length: u16) -> u16 {
    let [src, dst] = [src, dst].map(|a| fold(u64::from(u32::from(a))));
    add(add(src, dst), add(u16::from(protocol), length))
}

/// The sum over the pseudo-header of UDP, TCP and ICMPv6 above IPv6 (RFC 8200 section 8.1).
pub fn pseudo_header_v6(src: Ipv6Addr, dst: Ipv6Addr, next_header: u8, length: u32) -> u16 {
    let addresses = add(sum(&src.octets()), sum(&dst.octets()));
    add(addresses, add(u16::from(next_header), fold(u64::from(length))))
}

/// The checksum field after a 16-bit word under it changed from `old` to `new` (RFC 1624 section 3, equation 3).
pub fn adjust(checksum: u16, old: u16, new: u16) -> u16 {
    !add(add(!checksum, !old), new)
}

/// The checksum field after an address under it changed from `old` to `new`.
pub fn adjust_address(checksum: u16, old: Ipv4Addr, new: Ipv4Addr) -> u16 {
    let (old, new) = (u32::from(old), u32::from(new));
    let high = adjust(checksum, (old >> 16) as u16, (new >> 16) as u16);
    adjust(high, old as u16, new as u16)
}

/// Adds the carries back in until 16 bits are left.
fn fold(mut total: u64) -> u16 {
    total = (total & 0xffff_ffff) + (total >> 32);
    total = (total & 0xffff) + ((total >> 16) & 0xffff) + (total >> 32);
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    total as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 section 3 adds 0001 f203 f4f5 f6f7 and gets ddf2.
    #[test]
    fn the_sum_of_rfc_1071() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    /// RFC 1624 section 4: checksum dd2f, a field goes from 5555 to 3285, and the result is 0000 (not ffff).
    #[test]
    fn the_update_of_rfc_1624() {
        assert_eq!(adjust(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    proptest! {
        /// Against the definition, word by word with end-around carry.
        #[test]
        fn the_sum_is_the_definition(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let slow = bytes.chunks(2).fold(0u32, |s, w| {
                let s = s + u32::from(w[0]) * 256 + u32::from(*w.get(1).unwrap_or(&0));
                (s & 0xffff) + (s >> 16)
            });
            prop_assert_eq!(u32::from(sum(&bytes)), slow);
        }

        /// Updating equals recomputing, up to the two zeros of ones' complement.
        #[test]
        fn an_update_is_a_recomputation(mut words in proptest::collection::vec(any::<u16>(), 1..20), new: u16) {
            let whole = |w: &[u16]| !w.iter().fold(0, |s, &w| add(s, w));
            let before = whole(&words);
            let old = core::mem::replace(&mut words[0], new);
            let updated = adjust(before, old, new);
            prop_assert!(updated == whole(&words) || (updated ^ whole(&words)) == 0xffff);
        }
    }
}
