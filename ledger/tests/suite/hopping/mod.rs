//! Hopping over doubles of servers: every fault between an order and its home, and the books afterwards.

mod faults;
mod found;
mod refused;
mod server;
mod site;
mod stand_in;
mod stepped;
