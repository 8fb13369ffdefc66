"""Where a result came from, whether it still holds, and why it differs from another one."""
