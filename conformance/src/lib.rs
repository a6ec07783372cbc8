//! The laws of Portolan's ports, as a suite that every adapter runs.
