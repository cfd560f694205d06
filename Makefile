# make test       fetches and starts Kafka, S3, PostgreSQL, MariaDB, a schema registry, DynamoDB Local and a Kinesis, fetches the KCL, runs every test against them, stops them
# make fast-test  the tests that need no services; the same as `cargo test --workspace`
# make simulation  the protocol in SEEDS small worlds with every kind of fault; ALLUVIUM_SEED=n tells the story of one
# make ci         format, lints, licences, docs, then `make test`
# make instructions  counts what records cost on their way, against checked-in figures; UPDATE=1 writes them (CONTRIBUTING.md)
# make bench      the end-to-end benchmark against the same services: all cases, or ONLY=name (benches/end_to_end/main.rs)
# make bench-kinesis  what records of a Kinesis stream cost: all cases, or ONLY=name (benches/kinesis_stream/main.rs)
# make soak       half an hour at full speed with a load that rises and drops: SOAK_* (benches/end_to_end/soak/mod.rs)
# make engines    what engines of gzip make of the seeded events, and what they cost
# make chaos      breaks everything at random and counts every record, Kafka's and a stream's: ROUNDS, CHAOS_SECONDS, CHAOS_RATE, ONLY=kafka or
#                 ONLY=stream (CONTRIBUTING.md)
# make pressure   500 partitions, 20 tables, little memory, a slow target, a backlog: PRESSURE_* (CONTRIBUTING.md)
# make services   only fetches what the service tests need, into .services/

CARGO ?= cargo

SEEDS ?= 100000

.PHONY: test fast-test simulation ci instructions bench bench-kinesis soak engines chaos pressure services clean-services

test:
	scripts/test

fast-test:
	$(CARGO) test --workspace

simulation:
ifdef ALLUVIUM_SEED
	$(CARGO) test --lib simulation::one_seed -- --nocapture --ignored
else
	ALLUVIUM_SEEDS=$(SEEDS) $(CARGO) test --lib simulation::seeds -- --nocapture
endif

ci:
	.ci/run

instructions: services
	$(CARGO) test --config benches/instructions/build.toml --workspace --bench instructions

ifdef ONLY
bench bench-kinesis: export ALLUVIUM_BENCH_ONLY = $(ONLY)
endif
bench: services
	$(CARGO) bench --no-run --bench end_to_end
	scripts/services/with $(CARGO) bench --bench end_to_end

bench-kinesis: services
	$(CARGO) bench --no-run --bench kinesis_stream
	scripts/services/with $(CARGO) bench --bench kinesis_stream

soak: services
	$(CARGO) bench --no-run --bench end_to_end
	scripts/services/with $(CARGO) bench --bench end_to_end -- soak

engines:
	scripts/engines/run

# The program under attack is the release build, the tests are not.
chaos pressure: export CHAOS_PROGRAM = $(abspath $(or $(CARGO_TARGET_DIR),target))/release/alluvium

chaos: services
	$(CARGO) build --release --features service-tests,failpoints
	$(CARGO) test --features service-tests,failpoints --test chaos -- $(ONLY) --nocapture

pressure: export PRESSURE_RATE ?= 20000
pressure: export PRESSURE_SECONDS ?= 300
pressure: export PRESSURE_SLOW_SECONDS ?= 600
pressure: export PRESSURE_SLOW_BYTES ?= 1000000
pressure: export PRESSURE_FLUSH_SECONDS ?= 60
pressure: export PRESSURE_BACKLOG ?= 7200000
pressure: services
	$(CARGO) build --release --features service-tests,failpoints
	scripts/services/with $(CARGO) test --features service-tests,failpoints --test pressure -- --nocapture

services:
	scripts/services/fetch

clean-services:
	rm -rf .services
