//! AS_PATH (RFC 4271 section 5.1.2) and its detour around two-octet speakers, AS4_PATH (RFC 6793 section 4.2).

use core::fmt;

use netgauze_bgp_pkt::path_attribute as wire;
use netgauze_bgp_pkt::path_attribute::{As2PathSegment, As4PathSegment, AsPathSegmentType};
use smallvec::SmallVec;

use super::open::AS_TRANS;

/// A segment holds at most this many AS numbers: its length is one octet.
const SEGMENT: usize = 255;

/// The ASes a route went through, nearest first. Nearly every path is one sequence, so one segment takes no allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AsPath(SmallVec<[Segment; 1]>);

/// A part of an AS_PATH; never empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Segment {
    /// AS_SET: unordered, the leftovers of aggregation.
    Set(Vec<u32>),
    /// AS_SEQUENCE: in order.
    Sequence(Vec<u32>),
}

impl Segment {
    fn asns(&self) -> &[u32] {
        match self {
            Self::Set(asns) | Self::Sequence(asns) => asns,
        }
    }

    /// As section 9.1.2.2 counts it: a set is one AS, whatever its size.
    fn length(&self) -> usize {
        match self {
            Self::Set(_) => 1,
            Self::Sequence(asns) => asns.len(),
        }
    }
}

impl AsPath {
    /// A path of one sequence; empty if there are no ASes.
    pub fn sequence(asns: impl IntoIterator<Item = u32>) -> Self {
        let asns: Vec<u32> = asns.into_iter().collect();
        Self(asns.chunks(SEGMENT).map(|chunk| Segment::Sequence(chunk.to_vec())).collect())
    }

    /// Its segments, nearest first.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Its length for the decision process (section 9.1.2.2 a).
    pub fn length(&self) -> usize {
        self.0.iter().map(Segment::length).sum()
    }

    /// The AS it was received from: the first of a leading sequence.
    pub fn first(&self) -> Option<u32> {
        match self.0.first()? {
            Segment::Sequence(asns) => asns.first().copied(),
            Segment::Set(_) => None,
        }
    }

    /// The AS that originated the route: the last of a trailing sequence.
    pub fn last(&self) -> Option<u32> {
        match self.0.last()? {
            Segment::Sequence(asns) => asns.last().copied(),
            Segment::Set(_) => None,
        }
    }

    /// True if `asn` is anywhere in it.
    pub fn contains(&self, asn: u32) -> bool {
        self.0.iter().any(|segment| segment.asns().contains(&asn))
    }

    /// How often `asn` is in it (section 9.1.2: an AS loop if it is ours).
    pub fn occurrences(&self, asn: u32) -> usize {
        self.0.iter().flat_map(Segment::asns).filter(|&&other| other == asn).count()
    }

    /// Puts `asn` in front, `times` times, opening a new segment where one is full (section 5.1.2 b).
    pub fn prepend(&mut self, asn: u32, times: usize) {
        for _ in 0..times {
            match self.0.first_mut() {
                Some(Segment::Sequence(asns)) if asns.len() < SEGMENT => asns.insert(0, asn),
                Some(Segment::Sequence(_) | Segment::Set(_)) | None => {
                    self.0.insert(0, Segment::Sequence(vec![asn]));
                }
            }
        }
    }

    /// True if it holds an AS number that does not fit in two octets.
    pub(super) fn is_wide(&self) -> bool {
        let wide = |asn: &u32| u16::try_from(*asn).is_err();
        self.0.iter().any(|segment| segment.asns().iter().any(wide))
    }

    /// The AS_PATH attribute, and whether it needs an extended length.
    pub(super) fn to_wire(&self, four_octets: bool) -> (wire::AsPath, bool) {
        let long = self.wire_length(if four_octets { 4 } else { 2 }) > 255;
        if four_octets {
            return (wire::AsPath::As4PathSegments(self.wide_segments().into()), long);
        }
        let segments: Vec<_> = self
            .0
            .iter()
            .map(|segment| {
                let narrow = |asn: &u32| u16::try_from(*asn).unwrap_or(AS_TRANS);
                let asns: Vec<u16> = segment.asns().iter().map(narrow).collect();
                As2PathSegment::new(kind(segment), asns)
            })
            .collect();
        (wire::AsPath::As2PathSegments(segments.into()), long)
    }

    /// The AS4_PATH attribute, and whether it needs an extended length.
    pub(super) fn to_as4_wire(&self) -> (wire::As4Path, bool) {
        let long = self.wire_length(4) > 255;
        (wire::As4Path::new(self.wide_segments()), long)
    }

    /// Reads an AS_PATH.
    pub(super) fn from_wire(path: &wire::AsPath) -> Self {
        match path {
            wire::AsPath::As4PathSegments(segments) => Self::from_segments(segments),
            wire::AsPath::As2PathSegments(segments) => Self(
                segments
                    .iter()
                    .map(|segment| {
                        let asns = segment.as_numbers().iter().copied().map(u32::from);
                        from_kind(segment.segment_type(), asns.collect())
                    })
                    .collect(),
            ),
        }
    }

    /// Reads segments of four octets, as of AS4_PATH.
    pub(super) fn from_segments(segments: &[As4PathSegment]) -> Self {
        Self(segments.iter().map(|segment| from_kind(segment.segment_type(), segment.as_numbers().to_vec())).collect())
    }

    fn wire_length(&self, octets: usize) -> usize {
        let of = |segment: &Segment| 2 + segment.asns().len() * octets;
        self.0.iter().map(of).sum()
    }

    fn wide_segments(&self) -> Vec<As4PathSegment> {
        self.0.iter().map(|segment| As4PathSegment::new(kind(segment), segment.asns())).collect()
    }
}

/// ASes in decimal with spaces between them, and a set as `{65001,65002}`.
impl fmt::Display for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, segment) in self.0.iter().enumerate() {
            let (before, between, after) = match segment {
                Segment::Sequence(_) => ("", " ", ""),
                Segment::Set(_) => ("{", ",", "}"),
            };
            write!(f, "{}{before}", if place == 0 { "" } else { " " })?;
            for (place, asn) in segment.asns().iter().enumerate() {
                write!(f, "{}{asn}", if place == 0 { "" } else { between })?;
            }
            f.write_str(after)?;
        }
        Ok(())
    }
}

/// The path that an old speaker's AS_PATH and the AS4_PATH it passed on stand for (RFC 6793 section 4.2.3): the ASes
/// that AS_PATH counts more are the newest, and go in front.
pub(super) fn merge_as4(narrow: AsPath, wide: Option<AsPath>) -> AsPath {
    let Some(wide) = wide else {
        return narrow;
    };
    let Some(mut lead) = narrow.length().checked_sub(wide.length()) else {
        return narrow;
    };
    let mut merged = Vec::new();
    for segment in narrow.0 {
        if lead == 0 {
            break;
        }
        match segment {
            Segment::Set(_) => {
                lead -= 1;
                merged.push(segment);
            }
            Segment::Sequence(mut asns) => {
                asns.truncate(lead);
                lead -= asns.len();
                merged.push(Segment::Sequence(asns));
            }
        }
    }
    let mut tail = wide.0.into_iter().peekable();
    if let (Some(Segment::Sequence(front)), Some(Segment::Sequence(next))) = (merged.last_mut(), tail.peek())
        && front.len() + next.len() <= SEGMENT
    {
        front.extend(next);
        tail.next();
    }
    merged.extend(tail);
    AsPath(merged.into())
}

fn kind(segment: &Segment) -> AsPathSegmentType {
    match segment {
        Segment::Set(_) => AsPathSegmentType::AsSet,
        Segment::Sequence(_) => AsPathSegmentType::AsSequence,
    }
}

fn from_kind(kind: AsPathSegmentType, asns: Vec<u32>) -> Segment {
    match kind {
        AsPathSegmentType::AsSet => Segment::Set(asns),
        AsPathSegmentType::AsSequence => Segment::Sequence(asns),
    }
}
