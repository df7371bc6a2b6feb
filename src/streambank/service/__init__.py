"""What every microservice needs: its database, its projection of the log, and its outbox."""
