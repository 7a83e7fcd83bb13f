//! Third parties judge vpnsim: strongSwan, BIRD and FRR opposite its machines, tshark over its captures, Chromium over its page.
//!
//! These tests need root, network namespaces, TUN devices and the daemons that `.ci/packages` installs. They run where
//! the environment says `VPNSIM_ORACLES=1`, as `.ci/run` does, and there everything that is missing is a failure;
//! elsewhere each says that it was skipped.
//!
//! [`bfd`], [`bgp`], [`bird`], [`strongswan`], [`certificates`], [`esp`], [`explained`], [`exports`], [`fragmentation`], [`mobike`], [`captures`], [`dns`], [`live`],
//! [`call`], [`tun`], [`cluster`], [`page`] and [`report`] are the tests, of
//! which those of `live` and `call` that have our own machine as a peer run everywhere; [`router`] and [`gateway`] put our
//! machines between sockets, [`load`] traffic through them, [`pace`] gives them time, [`network`] and [`process`] give them
//! peers, [`tshark`] and [`repeats`] read captures, [`frr`] is FRR,
//! and [`customer`] configures the peers by our own export. [`browser`] is Chromium, in which [`report`] looks at the report's page.

mod additional;
mod bfd;
mod bgp;
mod bird;
mod browser;
mod call;
mod captures;
mod certificates;
mod cluster;
mod customer;
mod dns;
mod esp;
mod explained;
mod exports;
mod fragmentation;
mod frr;
mod gateway;
mod live;
mod load;
mod mobike;
mod network;
mod pace;
mod page;
mod process;
mod repeats;
mod report;
mod router;
mod strongswan;
mod tshark;
mod tun;
