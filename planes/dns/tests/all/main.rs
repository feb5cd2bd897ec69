//! The DNS plane from outside: tables of queries and answers, properties, and real sockets.

mod message;
mod properties;
mod sockets;
mod tables;
