//! The application load balancer: HTTP/1.1 from clients to targets as AWS's ALB does it.

#![forbid(unsafe_code)]

pub mod config;
