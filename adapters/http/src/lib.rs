//! Portolan's ports over HTTP: a server, and a client that is the ports.
