"""What anybody may do, once for API, command line and pages: permission, transaction, audit entry."""
