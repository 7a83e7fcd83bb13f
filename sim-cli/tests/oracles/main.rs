//! Third parties judge vpnsim: strongSwan and BIRD opposite its machines, tshark over its captures.
//!
//! These tests need root, network namespaces, TUN devices and the daemons that `.ci/packages` installs. They run where
//! the environment says `VPNSIM_ORACLES=1`, as `.ci/run` does, and there everything that is missing is a failure;
//! elsewhere each says that it was skipped.

mod bird;
mod captures;
mod network;
mod pace;
mod process;
mod strongswan;
mod tshark;
