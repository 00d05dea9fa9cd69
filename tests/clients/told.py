"""What a client tells its user when a call is refused."""


def told(kind, call):
    """The text of the `kind` of error that `call` raises."""
    try:
        call()
    except kind as refused:
        return str(refused)
    raise AssertionError("this call must be refused")
