//! Direct Connect, from AWS to the premises, on private and transit virtual interfaces (Direct Connect user guide, "Routing
//! policies and BGP communities", page routing-and-bgp.html):
//!
//! 1. the longest prefix;
//! 2. the local preference community: 7224:7300 high, 7224:7200 medium, 7224:7100 low. It is looked at before AS_PATH;
//! 3. without one, paths at locations that are associated with the Region: they count as medium, others as less. With
//!    SiteLink, Regions look at AS_PATH irrespective of association (page WorkingWithVirtualInterfaces.html);
//! 4. the shortest AS_PATH;
//! 5. the lowest MED (its place after AS_PATH is not in that page; digests of AWS's texts have it);
//! 6. what is left is balanced.
//!
//! So prepending does not work between locations of different Regions: step 3 has decided before. How far below medium an
//! untagged path elsewhere is, no page says: it comes after each medium one here, and before a low one.
//!
//! On a public virtual interface communities say how far a prefix is carried ([`Scope`]) and from how far it comes
//! ([`Origin`]). A drawing has the public network of one Region, a router without a Region of its own, which reaches the subnet of the
//! virtual interface whatever the customer announces. So AWS's prefixes are all of that Region here, tagged 7224:8100 and NO_EXPORT, and what
//! the customer asks for by 7224:9100, 7224:9200 or 7224:9300 has nobody to be kept from. Left out with it: the other reserved communities
//! of 7224, that AWS's public prefixes come with an AS_PATH of three ASNs or more, and that it puts 7224 in place of a private ASN.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{BgpPath, Community, Elimination, Evaluation};
use crate::reason::Rule;

/// Amazon's public AS, in whose name the communities are.
pub const AMAZON: u16 = 7224;
/// MED of a route over Direct Connect without one (VPC guide, how-transit-gateways-work.html).
pub const MISSING_MED: u32 = 0;

/// What a local preference community asks for, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LocalPreference {
    /// 7224:7300.
    High,
    /// 7224:7200.
    Medium,
    /// 7224:7100.
    Low,
}

impl LocalPreference {
    /// What the communities of a route ask for. They exclude each other (routing-and-bgp.html); if there are several
    /// nonetheless, the best counts here.
    pub fn of(communities: &[Community]) -> Option<Self> {
        let values = [(7300, Self::High), (7200, Self::Medium), (7100, Self::Low)];
        let has = |value| communities.contains(&Community::new(AMAZON, value));
        values.into_iter().find(|(value, _)| has(*value)).map(|(_, preference)| preference)
    }
}

/// Whether a virtual interface has SiteLink.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SiteLink {
    /// It has.
    On,
    /// It has not.
    Off,
}

/// A path over Direct Connect as a Region sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Path {
    /// What BGP says.
    pub path: BgpPath,
    /// True if the location is associated with another Region.
    pub elsewhere: bool,
}

/// A route over Direct Connect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Destinations.
    pub prefix: Ipv4Net,
    /// How it gets there.
    pub path: Path,
}

/// The routes that packets to `destination` take: balanced, if there are several.
pub fn evaluate(routes: &[Route], destination: Ipv4Addr, site_link: SiteLink) -> Option<Evaluation> {
    let mut order = Elimination::of(routes.len());
    order.longest_prefix(destination, |i| routes[i].prefix);
    narrow(&mut order, site_link, |i| Some(&routes[i].path));
    let mut evaluation = order.end()?;
    if evaluation.chosen.len() > 1 {
        evaluation.rule = Rule::EqualCost;
    }
    Some(evaluation)
}

/// Steps 2 to 5, of those that are over Direct Connect.
pub(super) fn narrow<'a>(order: &mut Elimination, site_link: SiteLink, path: impl Fn(usize) -> Option<&'a Path>) {
    let tagged = |i| path(i).and_then(|path| LocalPreference::of(&path.path.communities));
    order.keep_least(Rule::LocalPreferenceCommunity, |i| tagged(i).unwrap_or(LocalPreference::Medium));
    let elsewhere = |i| tagged(i).is_none() && path(i).is_some_and(|path| path.elsewhere);
    if site_link == SiteLink::Off {
        order.keep_least(Rule::AssociatedRegion, elsewhere);
    }
    order.keep_least(Rule::AsPathLength, |i| path(i).map_or(0, |path| path.path.length));
    order.keep_least_med(
        |i| path(i).and_then(|path| path.path.neighbour),
        |i| path(i).map_or(0, |path| path.path.med.unwrap_or(MISSING_MED)),
    );
}

/// How far AWS carries a prefix that it hears on a public virtual interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// 7224:9100: the Region.
    Region,
    /// 7224:9200: the continent.
    Continent,
    /// 7224:9300, and without a community: everywhere.
    Global,
}

/// How far apart two places are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// The same Region: AWS tags its prefixes 7224:8100.
    Region,
    /// The same continent: 7224:8200.
    Continent,
    /// Another continent: no community.
    Elsewhere,
}

impl Scope {
    /// What the communities of a prefix ask for; of several the narrowest.
    pub fn of(communities: &[Community]) -> Self {
        let has = |value| communities.contains(&Community::new(AMAZON, value));
        if has(9100) {
            Self::Region
        } else if has(9200) {
            Self::Continent
        } else {
            Self::Global
        }
    }

    /// True if a prefix gets so far.
    pub const fn reaches(self, distance: Origin) -> bool {
        match (self, distance) {
            (Self::Global, _) | (_, Origin::Region) | (Self::Continent, Origin::Continent) => true,
            (Self::Region, Origin::Continent) | (Self::Region | Self::Continent, Origin::Elsewhere) => false,
        }
    }
}

impl Origin {
    /// The community by which AWS says from how far a prefix comes.
    pub const fn community(self) -> Option<Community> {
        match self {
            Self::Region => Some(Community::new(AMAZON, 8100)),
            Self::Continent => Some(Community::new(AMAZON, 8200)),
            Self::Elsewhere => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::net;
    use super::*;

    const TO: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);

    fn route(prefix: &str, tag: Option<u16>, elsewhere: bool, as_path: &[u32], med: Option<u32>) -> Route {
        let mut path = BgpPath::sequence(as_path, med);
        path.communities = tag.map(|value| Community::new(AMAZON, value)).into_iter().collect();
        Route { prefix: net(prefix), path: Path { path, elsewhere } }
    }

    fn found(routes: &[Route], site_link: SiteLink) -> (Vec<usize>, Rule) {
        let evaluation = evaluate(routes, TO, site_link).unwrap();
        (evaluation.chosen, evaluation.rule)
    }

    /// routing-and-bgp.html: local preference communities are evaluated before AS_PATH, from low to high.
    #[test]
    fn the_community_comes_before_as_path() {
        let routes = [
            route("10.1.0.0/16", Some(7100), false, &[65_010], None),
            route("10.1.0.0/16", Some(7300), true, &[65_010; 4], None),
            route("10.1.0.0/16", Some(7200), false, &[65_010; 2], None),
        ];
        assert_eq!(found(&routes, SiteLink::Off), (vec![1], Rule::LocalPreferenceCommunity));
        assert_eq!(found(&routes[..1], SiteLink::Off), (vec![0], Rule::OnlyRoute));
        let more_specific = [routes[1].clone(), route("10.1.0.0/24", Some(7100), true, &[65_010; 9], None)];
        assert_eq!(found(&more_specific, SiteLink::Off), (vec![1], Rule::LongestPrefix));
    }

    /// routing-and-bgp.html: without a community, paths at locations of the associated Region are preferred, and prepending
    /// does not work across Regions. WorkingWithVirtualInterfaces.html: with SiteLink it does.
    #[test]
    fn the_associated_region_comes_before_as_path_unless_there_is_site_link() {
        let near_and_prepended = route("10.1.0.0/16", None, false, &[65_010; 5], None);
        let far_and_short = route("10.1.0.0/16", None, true, &[65_010], None);
        let both = [near_and_prepended, far_and_short];
        assert_eq!(found(&both, SiteLink::Off), (vec![0], Rule::AssociatedRegion));
        assert_eq!(found(&both, SiteLink::On), (vec![1], Rule::AsPathLength));
    }

    /// routing-and-bgp.html: no tag counts as 7224:7200 at a location of the Region.
    #[test]
    fn no_tag_is_medium_near_and_less_far_away() {
        let near = route("10.1.0.0/16", None, false, &[65_010], None);
        let far = route("10.1.0.0/16", None, true, &[65_010], None);
        let medium = route("10.1.0.0/16", Some(7200), true, &[65_010], None);
        assert_eq!(found(&[near.clone(), medium.clone()], SiteLink::Off), (vec![0, 1], Rule::EqualCost));
        assert_eq!(found(&[far, medium], SiteLink::Off), (vec![1], Rule::AssociatedRegion));
    }

    #[test]
    fn as_path_then_med_then_all_of_them() {
        let of = |as_path: &[u32], med| route("10.1.0.0/16", None, false, as_path, med);
        let routes =
            [of(&[65_010; 2], None), of(&[65_010], Some(20)), of(&[65_010], Some(10)), of(&[65_010], Some(10))];
        assert_eq!(found(&routes, SiteLink::Off), (vec![2, 3], Rule::EqualCost));
        assert_eq!(found(&routes[..3], SiteLink::Off), (vec![2], Rule::Med));
        assert_eq!(found(&routes[..2], SiteLink::Off), (vec![1], Rule::AsPathLength));
    }

    /// routing-and-bgp.html: 7224:9100 local Region, 7224:9200 all Regions of the continent, 7224:9300 global, which is the
    /// default; 7224:8100 and 7224:8200 on what AWS announces.
    #[test]
    fn scopes_carry_a_prefix_so_far() {
        let scope = |value| Scope::of(&[Community::new(AMAZON, value)]);
        assert_eq!([9100, 9200, 9300].map(scope), [Scope::Region, Scope::Continent, Scope::Global]);
        assert_eq!(Scope::of(&[Community::new(65_010, 9100)]), Scope::Global, "another AS's community says nothing");
        let reach = |scope: Scope| [Origin::Region, Origin::Continent, Origin::Elsewhere].map(|to| scope.reaches(to));
        assert_eq!(reach(Scope::Region), [true, false, false]);
        assert_eq!(reach(Scope::Continent), [true, true, false]);
        assert_eq!(reach(Scope::Global), [true, true, true]);
        let tags =
            [Origin::Region, Origin::Continent, Origin::Elsewhere].map(|at| at.community().map(|c| c.to_string()));
        assert_eq!(tags, [Some("7224:8100".into()), Some("7224:8200".into()), None]);
    }
}
