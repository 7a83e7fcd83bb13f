//! How much a tunnel carries: pure arithmetic on the shape of an ESP packet.

use super::Suite;
use crate::wire::{esp, ipv4, udp};

/// Octets of an IPv4 header and a TCP header without options.
const IPV4_AND_TCP: u16 = 40;
/// The same of IPv6.
const IPV6_AND_TCP: u16 = 60;

/// The longest inner packet whose sealed form fits `outer_mtu` octets: what is left after the headers and the ICV, cut
/// to whole blocks, less the trailer. `None` if the path is too narrow for any.
pub fn tunnel_mtu(outer_mtu: u16, suite: Suite, nat_t: bool) -> Option<u16> {
    let nat = if nat_t { udp::HEADER_LEN } else { 0 };
    let around = ipv4::HEADER_LEN + nat + esp::HEADER_LEN;
    let around = around + suite.encryption().iv_len() + suite.icv_len();
    let room = usize::from(outer_mtu).checked_sub(around)?;
    let text = room - room % text_alignment(suite);
    let inner = text.checked_sub(esp::TRAILER_LEN)?;
    u16::try_from(inner).ok()
}

/// The TCP maximum segment size over IPv4 that fits the tunnel (RFC 6691: without options).
pub fn tunnel_mss(outer_mtu: u16, suite: Suite, nat_t: bool) -> Option<u16> {
    tunnel_mtu(outer_mtu, suite, nat_t)?.checked_sub(IPV4_AND_TCP)
}

/// The same over IPv6 inside the tunnel.
pub fn tunnel_mss_v6(outer_mtu: u16, suite: Suite, nat_t: bool) -> Option<u16> {
    tunnel_mtu(outer_mtu, suite, nat_t)?.checked_sub(IPV6_AND_TCP)
}

/// The text is a multiple of this many octets (RFC 4303 section 2.4).
pub(super) fn text_alignment(suite: Suite) -> usize {
    suite.encryption().block_len().max(esp::ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::suite::{Encryption, Integrity};

    /// AWS Site-to-Site VPN User Guide, "Best practices for your customer gateway device": MTU and MSS by algorithms
    /// and NAT-T, over a path of 1,500 octets: of IPv4 and of IPv6 in IPv4. All rows.
    #[test]
    fn the_table_that_aws_publishes() {
        use Encryption::{AesCbc128, AesCbc256, AesGcm16_128, AesGcm16_256};
        use Integrity::{HmacSha1_96, HmacSha2_256_128, HmacSha2_384_192, HmacSha2_512_256};
        let gcm: &[_] = &[AesGcm16_128, AesGcm16_256];
        let cbc: &[_] = &[AesCbc128, AesCbc256];
        let sha1_or_sha256: &[_] = &[HmacSha1_96, HmacSha2_256_128];
        for (encryptions, integrities, nat_t, mtu, mss, mss_v6) in [
            (gcm, &[Integrity::None][..], false, 1446, 1406, 1386),
            (gcm, &[Integrity::None], true, 1438, 1398, 1378),
            (cbc, sha1_or_sha256, false, 1438, 1398, 1378),
            (cbc, sha1_or_sha256, true, 1422, 1382, 1362),
            (cbc, &[HmacSha2_384_192], false, 1422, 1382, 1362),
            (cbc, &[HmacSha2_384_192], true, 1422, 1382, 1362),
            (cbc, &[HmacSha2_512_256], false, 1422, 1382, 1362),
            (cbc, &[HmacSha2_512_256], true, 1406, 1366, 1346),
        ] {
            for &encryption in encryptions {
                for &integrity in integrities {
                    let suite = Suite::new(encryption, integrity).unwrap();
                    let row = format!("{suite:?}, NAT-T {nat_t}");
                    assert_eq!(tunnel_mtu(1500, suite, nat_t), Some(mtu), "{row}");
                    assert_eq!(tunnel_mss(1500, suite, nat_t), Some(mss), "{row}");
                    assert_eq!(tunnel_mss_v6(1500, suite, nat_t), Some(mss_v6), "{row}");
                }
            }
        }
    }

    #[test]
    fn a_path_can_be_too_narrow() {
        let suite = Suite::new(Encryption::AesGcm16_128, Integrity::None).unwrap();
        // 20 + 8 + 8 + 16 octets around a text of 4, of which 2 are trailer.
        assert_eq!(tunnel_mtu(56, suite, false), Some(2));
        assert_eq!(tunnel_mtu(55, suite, false), None);
        assert_eq!(tunnel_mtu(0, suite, true), None);
        assert_eq!(tunnel_mss(56, suite, false), None);
    }
}
