//! Message fragmentation (RFC 7383): what is too long for one packet arrives all the same, and nothing that is forged, late or
//! repeated gets in its way. Identities of 2,000 octets stand for the certificates that make IKE_AUTH long in practice.

use super::pair::{A, B, Fate, Pair, configs};
use crate::proto::ike::config::{Config, Identity};
use crate::proto::ike::{Input, Output};
use crate::reason::{DropReason, Reason};
use crate::time::Duration;
use crate::wire::ike::{ExchangeType, Fragment, Payload};

const LONG: [u8; 2000] = [b'x'; 2000];

/// Ends whose IKE_AUTH messages are too long for one packet.
fn long() -> [Config; 2] {
    let mut configs = configs();
    for (end, other) in [(A, B), (B, A)] {
        configs[end].local_id = Identity::KeyId(LONG.to_vec());
        configs[other].remote_id = Identity::KeyId(LONG.to_vec());
    }
    configs
}

fn run(configs: [Config; 2], fates: &[(usize, Fate)]) -> Pair {
    let mut pair = Pair::new(configs);
    pair.fates.extend(fates.iter().copied());
    pair.input(A, Input::Initiate(Reason::Startup));
    pair.run_for(Duration::from_secs(20));
    pair
}

fn ignored(outputs: &[Output]) -> Option<DropReason> {
    outputs.iter().find_map(|output| match output {
        Output::Ignored { reason } => Some(*reason),
        _ => None,
    })
}

/// The requests and responses of IKE_AUTH travel in two fragments each, none longer than 1,280 octets with IP and UDP headers.
#[test]
fn a_long_ike_auth_travels_in_fragments() {
    let pair = run(long(), &[]);
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    for end in &pair.ends {
        let lengths: Vec<usize> = end.sent[1..3].iter().map(Vec::len).collect();
        assert!(lengths.iter().all(|len| len + 28 <= 1280), "{lengths:?}");
        // No smaller than it must be: one more octet inside would not fit.
        assert!(lengths[0] + 28 + 1 > 1280);
    }
}

/// On port 4500 the non-ESP marker takes four of the octets (RFC 3948 section 2.2).
#[test]
fn behind_a_nat_the_marker_counts() {
    let mut configs = long();
    configs[A].nat = crate::proto::ike::config::NatTraversal::Force;
    let pair = run(configs, &[]);
    assert!(pair.is_up(), "{}", pair.ladder);
    assert_eq!(pair.ends[A].sent[1].len(), 1280 - 20 - 8 - 4);
}

/// Section 2.3: both ends must say so, or nothing is fragmented. A short message never is.
#[test]
fn fragments_need_the_support_of_both_ends() {
    for without in [&[A][..], &[B], &[A, B]] {
        let mut configs = long();
        without.iter().for_each(|end| configs[*end].fragment_size = None);
        let pair = run(configs, &[]);
        assert!(pair.is_up(), "{}", pair.ladder);
        assert!(!pair.ladder.contains("SKF"), "{}", pair.ladder);
        let said = [!without.contains(&A), false];
        let requests = pair.ladder.lines().filter(|line| line.contains("FragmentationSupported"));
        assert_eq!(requests.count(), said.iter().filter(|said| **said).count(), "the response only repeats it");
    }
    assert!(!run(configs(), &[]).ladder.contains("SKF"));
}

/// Section 2.6.1 with RFC 7296 section 2.1: the whole message is sent again, bit by bit; the responder still has the other half.
#[test]
fn a_lost_fragment_brings_all_of_them_again() {
    let pair = run(long(), &[(3, Fate::Drop)]);
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    assert_eq!(pair.ends[A].sent[1..3], pair.ends[A].sent[3..5]);
}

/// The initiator asks again with two fragments; the first brings the response once, the second nothing.
#[test]
fn a_lost_fragment_of_the_response_is_asked_for_once() {
    let pair = run(long(), &[(5, Fate::Drop)]);
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up());
    // IKE_SA_INIT, IKE_AUTH twice, and later a liveness check.
    assert_eq!(pair.ends[B].sent.len(), 1 + 2 + 2 + 1);
    assert_eq!(pair.ends[B].sent[1..3], pair.ends[B].sent[3..5]);
}

/// Whatever the order, and however often each comes.
#[test]
fn fragments_may_be_overtaken_repeated_and_lost() {
    for first in
        [Fate::Drop, Fate::Duplicate, Fate::Late(Duration::from_millis(15)), Fate::Late(Duration::from_secs(5))]
    {
        for second in [Fate::Drop, Fate::Duplicate, Fate::Late(Duration::from_millis(25))] {
            for (i, j) in (2..6).flat_map(|i| (2..6).map(move |j| (i, j))) {
                let mut pair = run(long(), &[(i, first), (j, second)]);
                assert!(pair.is_up() && pair.is_symmetric(), "{i} {first:?} {j} {second:?}\n{}", pair.ladder);
                pair.traffic(Duration::from_millis(10), pair.now + Duration::from_secs(1));
                assert_eq!(pair.esp_lost, 0);
            }
        }
    }
}

/// INFORMATIONAL request 2 to B with 3,000 octets inside, in fragments for this limit.
fn request(pair: &Pair, message_id: u32, limit: usize) -> Vec<Vec<u8>> {
    let header = pair.forged_header(B, ExchangeType::Informational, message_id);
    pair.forged(B, &header, &[Payload::VendorId(&[7; 3000])], limit)
}

/// A fragment is verified before it is kept: a forged one neither takes the place of the real one nor makes it start anew.
#[test]
fn a_forged_fragment_displaces_nothing() {
    let mut pair = Pair::up(configs());
    let parts = request(&pair, 2, 1252);
    assert_eq!(parts.len(), 3);
    let mut forged = parts[0].clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(ignored(&pair.hand(B, &forged).0), Some(DropReason::BadIcv));
    assert_eq!(ignored(&pair.hand(B, &parts[1]).0), None);
    // Total Fragments is authenticated, too: 3 made 9.
    let mut greater = parts[0].clone();
    greater[35] = 9;
    assert_eq!(ignored(&pair.hand(B, &greater).0), Some(DropReason::BadIcv));
    assert_eq!(pair.hand(B, &parts[2]).1, "");
    assert_eq!(pair.hand(B, &parts[0]).1, "Informational response 2 SK {}");
}

/// Section 2.6: a repetition is dropped; so is a smaller total; a greater total begins anew.
#[test]
fn a_greater_total_begins_anew() {
    let mut pair = Pair::up(configs());
    let (large, small) = (request(&pair, 2, 1252), request(&pair, 2, 548));
    assert_eq!((large.len(), small.len()), (3, 7));
    assert_eq!(ignored(&pair.hand(B, &large[0]).0), None);
    assert_eq!(ignored(&pair.hand(B, &large[0]).0), Some(DropReason::FragmentOverlap));
    assert_eq!(ignored(&pair.hand(B, &large[1]).0), None);
    assert_eq!(ignored(&pair.hand(B, &small[3]).0), None);
    // What had come in large pieces is forgotten.
    assert_eq!(ignored(&pair.hand(B, &large[2]).0), Some(DropReason::FragmentOverlap));
    for part in [&small[6], &small[0], &small[5], &small[1], &small[4]] {
        assert_eq!(pair.hand(B, part).1, "");
    }
    assert_eq!(pair.hand(B, &small[2]).1, "Informational response 2 SK {}");
    // Section 2.6.1: of an answered request only fragment 1 asks again, whichever way it was cut.
    assert_eq!(ignored(&pair.hand(B, &small[6]).0), Some(DropReason::FragmentOverlap));
    assert_eq!(pair.hand(B, &small[0]).1, "Informational response 2 SK {}");
}

/// Section 2.5.2: an initiator may send a message whole at first, and in fragments when nothing comes back.
#[test]
fn the_same_request_may_come_whole_and_in_fragments() {
    let mut pair = Pair::up(configs());
    let (parts, whole) = (request(&pair, 2, 1252), request(&pair, 2, usize::MAX));
    assert_eq!(pair.hand(B, &parts[0]).1, "");
    assert_eq!(pair.hand(B, &whole[0]).1, "Informational response 2 SK {}");
    assert_eq!(ignored(&pair.hand(B, &parts[1]).0), Some(DropReason::FragmentOverlap));
    assert_eq!(pair.hand(B, &parts[0]).1, "Informational response 2 SK {}");
    // The next request is not mixed up with it.
    let next = request(&pair, 3, 1252);
    assert_eq!(pair.hand(B, &next[1]).1, "");
    assert_eq!(pair.hand(B, &next[0]).1, "");
    assert_eq!(pair.hand(B, &next[2]).1, "Informational response 3 SK {}");
}

#[test]
fn fragments_outside_the_window_or_without_agreement_are_not_kept() {
    let mut pair = Pair::up(configs());
    for id in [0, 3, 4] {
        assert_eq!(
            ignored(&pair.hand(B, &request(&pair.clone(), id, 1252)[0]).0),
            Some(DropReason::UnexpectedMessage),
            "{id}"
        );
    }
    let mut silent = configs();
    silent[A].fragment_size = None;
    let mut pair = Pair::up(silent);
    assert_eq!(ignored(&pair.hand(B, &request(&pair.clone(), 2, 1252)[0]).0), Some(DropReason::UnexpectedMessage));
}

/// What is not complete is limited: a peer that never sends the last fragment costs 32 KiB, once.
#[test]
fn a_message_without_end_is_limited() {
    let mut pair = Pair::up(configs());
    let header = pair.forged_header(B, ExchangeType::Informational, 2);
    let parts = pair.forged(B, &header, &[Payload::VendorId(&[7; 40_000])], 1252);
    let kept = parts.iter().take_while(|part| ignored(&pair.hand(B, part).0).is_none()).count();
    assert_eq!(kept, 32_768 / 1252);
    assert_eq!(ignored(&pair.hand(B, &parts[kept]).0), Some(DropReason::ReassemblyFull));
    // The same request in a form that fits is still taken.
    assert_eq!(pair.hand(B, &request(&pair.clone(), 2, usize::MAX)[0]).1, "Informational response 2 SK {}");
}

/// A CREATE_CHILD_SA is fragmented like any other, and an heir inherits the agreement.
#[test]
fn rekeys_are_fragmented_under_the_heir_too() {
    let mut configs = configs();
    let offer = configs[A].esp_offers[0].clone();
    for config in &mut configs {
        config.esp_offers = vec![offer.clone(); 60];
        config.ike_lifetime = Duration::from_secs(100_000);
    }
    let mut pair = Pair::up(configs);
    pair.undertake(A, super::pair::Undertaking::RekeyIke);
    pair.run_for(Duration::from_secs(1));
    pair.ladder.clear();
    pair.undertake(B, super::pair::Undertaking::RekeyChild);
    pair.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(pair.ladder);
    assert!(pair.is_up() && pair.is_symmetric());
}

/// Number 0, a number above the total, and octets that end too early (section 2.5).
#[test]
fn nonsense_in_the_fields_is_refused() {
    let mut pair = Pair::up(configs());
    let good = request(&pair, 2, 1252).remove(0);
    assert_eq!(Fragment::parse(&good).map(|f| (f.number, f.total)), Ok((1, 3)));
    for (number, total) in [(0, 3), (4, 3), (1, 0), (0, 0)] {
        let mut bytes = good.clone();
        (bytes[33], bytes[35]) = (number, total);
        assert_eq!(ignored(&pair.hand(B, &bytes).0), Some(DropReason::Malformed), "{number} of {total}");
    }
    for len in 28..good.len() {
        let mut bytes = good[..len].to_vec();
        bytes[24..28].copy_from_slice(&(len as u32).to_be_bytes());
        if let Some(length) = bytes.get_mut(30..32) {
            length.copy_from_slice(&((len - 28) as u16).to_be_bytes());
        }
        assert!(ignored(&pair.hand(B, &bytes).0).is_some(), "{len}");
    }
}
