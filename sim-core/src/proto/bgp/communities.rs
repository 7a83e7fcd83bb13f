//! Communities: marks on a route that policies set and match. Three kinds: standard (RFC 1997), extended (RFC 4360, of
//! which we look at the transitive bit alone) and large (RFC 8092).
//!
//! Each kind is a set (RFC 1997, RFC 8092 section 3), so it is kept in ascending order and goes out that way.
//!
//! Left out: the meaning of extended communities (they are carried), and that NO_EXPORT_SUBCONFED spares the members of a
//! confederation, as there are none here (RFC 5065).

use core::fmt;

use netgauze_bgp_pkt::community as wire;

/// A standard community: four octets, by convention an AS and a number of its choice (RFC 1997).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Community(pub u32);

impl Community {
    /// GRACEFUL_SHUTDOWN: the session is about to go down, so prefer anything else (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xffff_0000);
    /// NO_EXPORT: not beyond this AS (RFC 1997).
    pub const NO_EXPORT: Self = Self(0xffff_ff01);
    /// NO_ADVERTISE: not to anybody (RFC 1997).
    pub const NO_ADVERTISE: Self = Self(0xffff_ff02);
    /// NO_EXPORT_SUBCONFED: not to any external peer, members of the same confederation included (RFC 1997).
    pub const NO_EXPORT_SUBCONFED: Self = Self(0xffff_ff03);

    /// Those that have a name, in lower case as the scenario language writes them.
    pub const WELL_KNOWN: [(&'static str, Self); 4] = [
        ("graceful_shutdown", Self::GRACEFUL_SHUTDOWN),
        ("no_export", Self::NO_EXPORT),
        ("no_advertise", Self::NO_ADVERTISE),
        ("no_export_subconfed", Self::NO_EXPORT_SUBCONFED),
    ];

    /// Number `value` of AS `asn`.
    pub const fn new(asn: u16, value: u16) -> Self {
        Self((asn as u32) << 16 | value as u32)
    }

    /// The AS, in the first two octets.
    pub const fn asn(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The number, in the last two octets.
    pub const fn value(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::WELL_KNOWN.iter().find(|(_, known)| known == self) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}:{}", self.asn(), self.value()),
        }
    }
}

/// An extended community as it came (RFC 4360 section 2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExtendedCommunity(pub [u8; 8]);

impl ExtendedCommunity {
    /// False if it stays within the AS: the T bit is set.
    pub const fn is_transitive(self) -> bool {
        self.0[0] & 0x40 == 0
    }
}

/// A large community: an AS of four octets and two numbers of its choice (RFC 8092).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LargeCommunity {
    /// Global Administrator: the AS.
    pub asn: u32,
    /// Local Data Part 1.
    pub first: u32,
    /// Local Data Part 2.
    pub second: u32,
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.asn, self.first, self.second)
    }
}

/// A community of a kind that policies know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AnyCommunity {
    /// RFC 1997.
    Standard(Community),
    /// RFC 8092.
    Large(LargeCommunity),
}

/// A set of communities: `None` matches any number in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommunityMatch {
    /// Standard ones with this AS and this number.
    Standard(Option<u16>, Option<u16>),
    /// Large ones with this AS and these numbers.
    Large(Option<u32>, Option<u32>, Option<u32>),
}

impl CommunityMatch {
    /// This community alone.
    pub const fn exact(community: AnyCommunity) -> Self {
        match community {
            AnyCommunity::Standard(it) => Self::Standard(Some(it.asn()), Some(it.value())),
            AnyCommunity::Large(it) => Self::Large(Some(it.asn), Some(it.first), Some(it.second)),
        }
    }

    fn standard(&self, it: Community) -> bool {
        match *self {
            Self::Standard(asn, value) => {
                asn.is_none_or(|asn| asn == it.asn()) && value.is_none_or(|value| value == it.value())
            }
            Self::Large(..) => false,
        }
    }

    fn large(&self, it: LargeCommunity) -> bool {
        let same = |part: Option<u32>, of: u32| part.is_none_or(|part| part == of);
        match *self {
            Self::Standard(..) => false,
            Self::Large(asn, first, second) => same(asn, it.asn) && same(first, it.first) && same(second, it.second),
        }
    }
}

/// The communities of a route. Most routes have none, so none take no room but a pointer's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Communities(Option<Box<Sets>>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
struct Sets {
    standard: Vec<Community>,
    extended: Vec<ExtendedCommunity>,
    large: Vec<LargeCommunity>,
    /// Some speaker on the way did not know the attribute of this kind (RFC 4271 section 5: the Partial bit stays).
    partial: [bool; 3],
}

impl Communities {
    /// Those of RFC 1997, ascending.
    pub fn standard(&self) -> &[Community] {
        self.0.as_ref().map_or(&[], |sets| &sets.standard)
    }

    /// Those of RFC 4360, ascending.
    pub fn extended(&self) -> &[ExtendedCommunity] {
        self.0.as_ref().map_or(&[], |sets| &sets.extended)
    }

    /// Those of RFC 8092, ascending.
    pub fn large(&self) -> &[LargeCommunity] {
        self.0.as_ref().map_or(&[], |sets| &sets.large)
    }

    /// Whether the attribute of each kind, standard, extended and large, has its Partial bit set.
    pub fn partial(&self) -> [bool; 3] {
        self.0.as_ref().map_or([false; 3], |sets| sets.partial)
    }

    /// True if this standard community is there.
    pub fn has(&self, community: Community) -> bool {
        self.standard().binary_search(&community).is_ok()
    }

    /// True if one of them is in the set.
    pub fn any(&self, set: &CommunityMatch) -> bool {
        self.standard().iter().any(|it| set.standard(*it)) || self.large().iter().any(|it| set.large(*it))
    }

    /// Adds one.
    pub fn insert(&mut self, community: AnyCommunity) {
        self.change(|sets| match community {
            AnyCommunity::Standard(it) => insert(&mut sets.standard, it),
            AnyCommunity::Large(it) => insert(&mut sets.large, it),
        });
    }

    /// Takes out those in the set.
    pub fn remove(&mut self, set: &CommunityMatch) {
        if self.any(set) {
            self.change(|sets| {
                sets.standard.retain(|it| !set.standard(*it));
                sets.large.retain(|it| !set.large(*it));
            });
        }
    }

    /// Takes out all standard and large ones. Extended ones, which policies do not know, stay.
    pub fn clear(&mut self) {
        if self.0.is_some() {
            self.change(|sets| {
                sets.standard.clear();
                sets.large.clear();
            });
        }
    }

    /// Takes out what must not leave the AS (RFC 4360 section 6).
    pub(super) fn leave_as(&mut self) {
        if self.extended().iter().any(|it| !it.is_transitive()) {
            self.change(|sets| sets.extended.retain(|it| it.is_transitive()));
        }
    }

    /// Reads COMMUNITIES, EXTENDED_COMMUNITIES or LARGE_COMMUNITY. A repeated value counts once (RFC 8092 section 3).
    pub(super) fn take(&mut self, read: Read<'_>, partial: bool) {
        self.change(|sets| {
            let kind = match read {
                Read::Standard(all) => {
                    all.iter().for_each(|it| insert(&mut sets.standard, Community(it.value())));
                    0
                }
                Read::Extended(octets) => {
                    let (all, _) = octets.as_chunks();
                    all.iter().for_each(|it| insert(&mut sets.extended, ExtendedCommunity(*it)));
                    1
                }
                Read::Large(all) => {
                    for it in all {
                        let (asn, first, second) = (it.global_admin(), it.local_data1(), it.local_data2());
                        insert(&mut sets.large, LargeCommunity { asn, first, second });
                    }
                    2
                }
            };
            sets.partial[kind] = partial;
        });
    }

    /// Changes the sets, and lets go of them when nothing is left. An attribute that is not there has no flags.
    fn change(&mut self, change: impl FnOnce(&mut Sets)) {
        let mut sets = self.0.take().unwrap_or_default();
        change(&mut sets);
        let there = [!sets.standard.is_empty(), !sets.extended.is_empty(), !sets.large.is_empty()];
        for (partial, there) in sets.partial.iter_mut().zip(there) {
            *partial &= there;
        }
        self.0 = there.contains(&true).then_some(sets);
    }
}

impl FromIterator<AnyCommunity> for Communities {
    fn from_iter<I: IntoIterator<Item = AnyCommunity>>(all: I) -> Self {
        let mut communities = Self::default();
        all.into_iter().for_each(|community| communities.insert(community));
        communities
    }
}

/// The value of one attribute.
pub(super) enum Read<'a> {
    Standard(&'a [wire::Community]),
    Extended(&'a [u8]),
    Large(&'a [wire::LargeCommunity]),
}

fn insert<T: Ord>(sorted: &mut Vec<T>, value: T) {
    if let Err(place) = sorted.binary_search(&value) {
        sorted.insert(place, value);
    }
}
