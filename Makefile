# `make dev`: everything on loopback, from a bare Debian machine with Rust. `make dev ARGS="--port 4200"` chooses a port.
# `make test`: everything that has to hold before a change lands. Both share one profile, so nothing is compiled twice.

.PHONY: dev test

dev:
	@scripts/set-up build
	cargo run --locked -- dev $(ARGS)

test:
	@scripts/set-up test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked
