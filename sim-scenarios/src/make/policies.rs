//! BGP policies of customer gateways, and how they decide.

use sim_core::proto::bgp::decision::Rules;
use sim_core::proto::bgp::policy::{Change, Condition, Policy, PrefixMatch, Rule, Verdict};

use crate::leaf::{AsPathPattern, Asn, CommunityPattern, CommunityValue, MedChange, Name, NextHopChange, PrefixRange};
use crate::place::{At, Named};
use crate::plan::{NamedPolicy, Otherwise, Then};
use crate::schema;

use super::judge::Judge;
use super::nodes::whole;

/// The longest AS_PATH that makes sense to ask for: more fit in no UPDATE of 4,096 octets.
const LONGEST: u64 = 1023;

/// All policies of a gateway.
pub(super) fn make(schema: &Named<schema::Policy>, j: &mut Judge) -> Vec<NamedPolicy> {
    let names = j.names(schema, "policy");
    let policies = names.into_iter().zip(&schema.0);
    policies.map(|(name, (_, schema))| NamedPolicy { name, policy: policy(schema, j) }).collect()
}

/// The policy of a device that a neighbor names.
pub(super) fn named(at: &Option<At<Name>>, policies: &[NamedPolicy], j: &mut Judge) -> Option<NamedPolicy> {
    let names: Vec<String> = policies.iter().map(|policy| policy.name.clone()).collect();
    let place = j.find(at.as_ref()?, "policy of this device", &names)?;
    Some(policies[place].clone())
}

fn policy(schema: &schema::Policy, j: &mut Judge) -> Policy {
    let otherwise = match j.or(&schema.otherwise, Otherwise::Reject) {
        Otherwise::Accept => Verdict::Accept,
        Otherwise::Reject => Verdict::Reject,
    };
    Policy { rules: schema.rules.iter().map(|schema| rule(schema, j)).collect(), otherwise }
}

fn rule(schema: &schema::PolicyRule, j: &mut Judge) -> Rule {
    let prefixes: Vec<PrefixMatch> = match &schema.prefixes {
        Some(list) => j.items(list, |_| Ok(())).into_iter().map(|PrefixRange(range)| range).collect(),
        None => Vec::new(),
    };
    let verdict = match j.or(&schema.then, Then::Accept) {
        Then::Accept => Some(Verdict::Accept),
        Then::Reject => Some(Verdict::Reject),
        Then::Continue => None,
    };
    let changes = changes(&schema.set, j);
    if verdict == Some(Verdict::Reject)
        && !changes.is_empty()
        && let Some(at) = &schema.then
    {
        j.wrong(at.place, "a route that is rejected is not changed: `set` has no effect here", None);
    }
    Rule { prefixes, conditions: conditions(schema, j), changes, verdict }
}

fn conditions(schema: &schema::PolicyRule, j: &mut Judge) -> Vec<Condition> {
    let mut all = Vec::new();
    let mut by_as = |at: &Option<At<Asn>>, condition: fn(u32) -> Condition| {
        let asn = at.as_ref().and_then(|at| j.read(at));
        all.extend(asn.map(|Asn(asn)| condition(asn)));
    };
    by_as(&schema.as_path_contains, Condition::AsPathContains);
    by_as(&schema.originated_by, Condition::OriginatedBy);
    by_as(&schema.neighbour, Condition::Neighbour);
    let least = j.number(&schema.as_path_at_least, 0, 0, LONGEST, "the length of an AS_PATH");
    let most = j.number(&schema.as_path_at_most, usize::MAX, 0, LONGEST, "the length of an AS_PATH");
    if let Some(at) = schema.as_path_at_most.as_ref().filter(|_| least > most) {
        j.wrong(at.place, format!("no AS_PATH is {least} or longer and {most} or shorter"), None);
    }
    if schema.as_path_at_least.is_some() || schema.as_path_at_most.is_some() {
        all.push(Condition::AsPathLength(least, most));
    }
    let expression = schema.as_path.as_ref().and_then(|at| j.read(at));
    all.extend(expression.map(|AsPathPattern(regex)| Condition::AsPath(regex)));
    if let Some(list) = &schema.communities {
        let sets = j.items(list, |_| Ok(())).into_iter();
        all.push(Condition::Any(sets.map(|CommunityPattern(set)| Condition::Community(set)).collect()));
    }
    all.extend(schema.next_hop.as_ref().and_then(|at| j.lawful(at, whole)).map(Condition::NextHop));
    if schema.med.is_some() {
        all.push(Condition::Med(Some(j.number(&schema.med, 0, 0, u32::MAX.into(), "a MED"))));
    }
    all
}

fn changes(schema: &schema::PolicySet, j: &mut Judge) -> Vec<Change> {
    let mut all = Vec::new();
    if schema.local_preference.is_some() {
        let preference = j.number(&schema.local_preference, 100, 0, u32::MAX.into(), "a local preference");
        all.push(Change::LocalPref(preference));
    }
    all.extend(schema.med.as_ref().and_then(|at| j.read(at)).map(|change| match change {
        MedChange::To(med) => Change::Med(med),
        MedChange::By(more) => Change::AddMed(more),
        MedChange::Remove => Change::RemoveMed,
    }));
    if schema.prepend.is_some() {
        all.push(Change::Prepend(j.number(&schema.prepend, 0, 1, 200, "prepending")));
    }
    if let Some(list) = &schema.remove_communities {
        all.extend(j.items(list, |_| Ok(())).into_iter().map(|CommunityPattern(set)| Change::RemoveCommunities(set)));
    }
    if let Some(list) = &schema.add_communities {
        all.extend(j.items(list, |_| Ok(())).into_iter().map(|CommunityValue(it)| Change::AddCommunity(it)));
    }
    all.extend(schema.next_hop.as_ref().and_then(|at| j.read(at)).map(|change| match change {
        NextHopChange::Own => Change::NextHopSelf,
        NextHopChange::To(address) => Change::NextHop(address),
    }));
    all
}

/// How a gateway decides.
pub(super) fn decision(schema: &schema::Decision, j: &mut Judge) -> Rules {
    let default = Rules::default();
    Rules {
        missing_med: j.number(&schema.missing_med, default.missing_med, 0, u32::MAX.into(), "a MED"),
        always_compare_med: j.or(&schema.always_compare_med, default.always_compare_med),
        deterministic_med: j.or(&schema.deterministic_med, default.deterministic_med),
        keep_existing: j.or(&schema.keep_existing, default.keep_existing),
        multipath: default.multipath,
    }
}
