"""The notifications service: what users are told, once, by inbox, e-mail and webhook."""
