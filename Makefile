# make test       fetches and starts Kafka and S3, runs every test against them, stops them
# make fast-test  the tests that need no services; the same as `cargo test --workspace`
# make simulation  the protocol in SEEDS small worlds with every kind of fault; ALLUVIUM_SEED=n tells the story of one
# make ci         format, lints, licences, docs, then `make test`
# make bench      the end-to-end benchmark against the same services
# make services   only fetches what the service tests need, into .services/

CARGO ?= cargo

SEEDS ?= 100000

.PHONY: test fast-test simulation ci bench services clean-services

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

bench: services
	$(CARGO) bench --no-run --bench end_to_end
	scripts/services/with $(CARGO) bench --bench end_to_end

services:
	scripts/services/fetch

clean-services:
	rm -rf .services
