//! Groups in the virtual world, with the real EC2, Elastic Load Balancing and CloudWatch beside them.

mod big;
mod groups;
mod mixed;
mod refreshes;
mod scaling;
mod storms;
mod yard;
