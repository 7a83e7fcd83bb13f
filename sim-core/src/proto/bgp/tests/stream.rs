//! A speaker sees the same whatever TCP makes of the stream, and survives any stream.

use proptest::prelude::*;

use super::super::message::keepalive;
use super::super::update::end_of_rib;
use super::*;

/// OPEN, KEEPALIVE, two routes, one of them withdrawn, End-of-RIB, KEEPALIVE.
fn conversation() -> Vec<u8> {
    #[rustfmt::skip]
    let update = [
        &[0xff; 16][..], &[0, 51, 2, 0, 0, 0, 20,
        0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfc, 0x00, 0x40, 3, 4, 169, 254, 10, 1,
        24, 10, 0, 1, 24, 10, 0, 2],
    ].concat();
    #[rustfmt::skip]
    let withdrawal = [&[0xff; 16][..], &[0, 27, 2, 0, 4, 24, 10, 0, 1, 0, 0]].concat();
    let parts = [usual_open(), keepalive(), update, withdrawal, end_of_rib::<Ipv4Net>(), keepalive()];
    parts.concat()
}

fn outputs(stream: &[u8], cuts: &[usize]) -> Vec<Output> {
    let mut solo = Solo::open_sent(config(65000, 64512, 2));
    let mut from = 0;
    for &cut in cuts {
        let to = cut.clamp(from, stream.len());
        solo.receive(&stream[from..to]);
        from = to;
    }
    solo.receive(&stream[from..]);
    solo.drain()
}

#[test]
fn byte_by_byte_is_the_same() {
    let stream = conversation();
    let whole = outputs(&stream, &[]);
    assert!(whole.iter().any(|output| matches!(output, Output::Route(_))));
    let cuts: Vec<usize> = (1..stream.len()).collect();
    assert_eq!(outputs(&stream, &cuts), whole);
}

proptest! {
    /// However the stream is cut, and whatever octet of it is changed.
    #[test]
    fn cuts_do_not_matter(
        mut cuts in prop::collection::vec(0..300_usize, 0..12),
        change in prop::option::of((0..300_usize, any::<u8>())),
    ) {
        let mut stream = conversation();
        if let Some((place, octet)) = change {
            let place = place % stream.len();
            stream[place] = octet;
        }
        cuts.sort_unstable();
        prop_assert_eq!(outputs(&stream, &cuts), outputs(&stream, &[]));
    }

    /// Every prefix of a conversation with some of its bits flipped: the speaker answers or not, but it lives on.
    #[test]
    fn damaged_streams_do_no_harm(
        flips in prop::collection::vec((0..300_usize, 0..8_u8), 1..20),
        length in 0..300_usize,
    ) {
        let mut stream = conversation();
        stream.truncate(length);
        for (place, bit) in flips {
            if let Some(octet) = stream.get_mut(place) {
                *octet ^= 1 << bit;
            }
        }
        let mut solo = Solo::open_sent(config(65000, 64512, 2));
        solo.receive(&stream);
        solo.now = secs(1_000);
        solo.speaker.handle_timeout(solo.now);
    }

    /// An UPDATE body of any octets is read or refused.
    #[test]
    fn any_update_body(
        withdrawn in prop::collection::vec(any::<u8>(), 0..40),
        attributes in prop::collection::vec(any::<u8>(), 0..60),
        nlri in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let length = |bytes: &[u8]| (bytes.len() as u16).to_be_bytes();
        let body = [&length(&withdrawn), &withdrawn[..], &length(&attributes), &attributes, &nlri].concat();
        let mut solo = Solo::established();
        let header = [&[0xff; 16][..], &((19 + body.len()) as u16).to_be_bytes(), &[2]].concat();
        solo.receive(&[header, body].concat());
        let state = solo.speaker.state(PEER);
        prop_assert_eq!(state == State::Idle, solo.notification().is_some());
    }

    /// The same for one attribute with a plausible frame around any value, which gets deeper.
    #[test]
    fn any_attribute_value(
        flags in prop::sample::select(vec![0x40_u8, 0x80, 0xc0, 0xe0]),
        code in 0..40_u8,
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let attribute = [&[flags, code, value.len() as u8][..], &value].concat();
        let body = [&[0, 0, 0, attribute.len() as u8], &attribute[..]].concat();
        for dialect in [true, false] {
            let dialect = attributes::Dialect { four_octet_as: dialect, ..attributes::Dialect::new(65000, 64512) };
            let refused = update::Update::parse(&body, &dialect).err();
            prop_assert!(refused.is_none_or(|error| error.code == 3));
        }
    }

    /// Parsing what was emitted gives back what was given, for either width of AS numbers.
    #[test]
    fn parse_after_emit_is_identity(
        asns in prop::collection::vec(1..=u32::MAX, 0..12),
        set in prop::collection::vec(1..=u32::MAX, 0..4),
        origin in 0..3_u8,
        med in any::<Option<u32>>(),
        prefixes in prop::collection::vec((any::<u32>(), 0..=32_u8), 1..50),
        four_octet_as in any::<bool>(),
    ) {
        let dialect =
            attributes::Dialect { four_octet_as, ..attributes::Dialect::new(65000, 64512) };
        let mut path = as_path::AsPath::sequence(asns);
        path.prepend(64512, 1);
        let mut route = Attributes::new(Ipv4Addr::new(169, 254, 10, 1));
        route.as_path = path;
        route.med = med;
        route.origin = [attributes::Origin::Igp, attributes::Origin::Egp, attributes::Origin::Incomplete][usize::from(origin)];
        if !set.is_empty() {
            route.aggregator = Some((set[0], Ipv4Addr::new(10, 0, 0, 1)));
        }
        let prefixes: Vec<_> = prefixes
            .into_iter()
            .map(|(address, length)| Ipv4Net::new(address.into(), length).unwrap().trunc())
            .filter(|&prefix| prefix.is_unicast())
            .collect();
        let mut read = Vec::new();
        update::announce(&route, &dialect, &prefixes, |bytes, told| {
            let update = update::Update::parse(&bytes[19..], &dialect).unwrap();
            assert_eq!(update.ipv4.attributes.as_ref(), Some(&route));
            assert_eq!((&update.ipv4.withdrawn, &update.ipv4.reachable), (&told.withdrawn, &told.announced));
            read.extend(update.ipv4.reachable);
        });
        prop_assert_eq!(read, prefixes);
    }
}
