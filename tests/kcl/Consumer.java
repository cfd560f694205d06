import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.awscore.client.builder.AwsClientBuilder;
import software.amazon.awssdk.core.client.builder.SdkAsyncClientBuilder;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * A worker of the real KCL, 2.x or 3.x: polls from TRIM_HORIZON and appends to a file a line "shard sequence sub data" (data in base64) for
 * each user record, "> shard" when it begins a shard, and "= shard sequence sub" behind each checkpoint. It checkpoints behind every batch, or
 * not before KCL_CHECKPOINT_MILLIS have passed since the last time. For KCL_BEGIN_MILLIS it has a shard before it reads of it. Its standard
 * output tells which shards it begins, loses and ends. Ends on SIGTERM as a KCL should; with KCL_STOPS_WITHIN each shard stops within an
 * aggregate of its next batch, if there is one, and that of this number is waited for.
 * Arguments: STREAM APPLICATION WORKER FILE; addresses come from KINESIS_ENDPOINT and DYNAMODB_ENDPOINT.
 */
public final class Consumer {
    private static final boolean STOPS_WITHIN = System.getenv("KCL_STOPS_WITHIN") != null;
    private static final CountDownLatch STOPPED_WITHIN = new CountDownLatch(1);
    private static final long CHECKPOINT_NANOS = TimeUnit.MILLISECONDS.toNanos(number("KCL_CHECKPOINT_MILLIS", 0));
    private static Path file;
    private static volatile boolean leaving;

    public static void main(String[] arguments) throws Exception {
        String stream = arguments[0], application = arguments[1], worker = arguments[2];
        file = Path.of(arguments[3]);
        KinesisAsyncClient kinesis = at("KINESIS_ENDPOINT", KinesisAsyncClient.builder());
        DynamoDbAsyncClient dynamo = at("DYNAMODB_ENDPOINT", DynamoDbAsyncClient.builder());
        // Never asked: there are no metrics.
        CloudWatchAsyncClient cloudWatch = at("DYNAMODB_ENDPOINT", CloudWatchAsyncClient.builder());
        InitialPositionInStreamExtended oldest =
                InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        ConfigsBuilder configs = new ConfigsBuilder(
                new SingleStreamTracker(stream, oldest), application, kinesis, dynamo, cloudWatch, worker, Processor::new);
        PollingConfig polling = new PollingConfig(stream, kinesis)
                .maxRecords(number("KCL_MAX_RECORDS", 1000))
                .idleTimeBetweenReadsInMillis(number("KCL_IDLE_MILLIS", 250));
        Scheduler scheduler = new Scheduler(
                configs.checkpointConfig(),
                configs.coordinatorConfig().parentShardPollIntervalMillis(500).shardConsumerDispatchPollIntervalMillis(200),
                configs.leaseManagementConfig()
                        .failoverTimeMillis(number("KCL_FAILOVER_MILLIS", 10_000))
                        .shardSyncIntervalMillis(number("KCL_SHARD_SYNC_MILLIS", 60_000)),
                configs.lifecycleConfig(),
                configs.metricsConfig().metricsFactory(new NullMetricsFactory()),
                configs.processorConfig(),
                configs.retrievalConfig().retrievalSpecificConfig(polling));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(scheduler)));
        say("starts");
        scheduler.run();
    }

    private static void stop(Scheduler scheduler) {
        leaving = true;
        try {
            if (STOPS_WITHIN) STOPPED_WITHIN.await(60, TimeUnit.SECONDS);
            boolean whole = scheduler.startGracefulShutdown().get(20, TimeUnit.SECONDS);
            say(whole ? "stopped" : "stopped before its end");
        } catch (Exception e) {
            say("not stopped: " + e);
        }
    }

    private static <B extends AwsClientBuilder<B, C> & SdkAsyncClientBuilder<B, C>, C> C at(String variable, B builder) {
        return builder.endpointOverride(URI.create(System.getenv(variable)))
                .region(Region.of(System.getenv().getOrDefault("AWS_REGION", "us-east-1")))
                // Over plain HTTP, HTTP/2 would be spoken to Kinesis at once, which no server here understands.
                .httpClientBuilder(NettyNioAsyncHttpClient.builder().protocol(Protocol.HTTP1_1).maxConcurrency(100))
                .build();
    }

    private static int number(String variable, int otherwise) {
        return Integer.parseInt(System.getenv().getOrDefault(variable, Integer.toString(otherwise)));
    }

    private static void say(String what) {
        System.out.println(what);
        System.out.flush();
    }

    private static synchronized void append(String lines) throws IOException {
        byte[] bytes = lines.getBytes(StandardCharsets.UTF_8);
        Files.write(file, bytes, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private interface Checkpoint {
        void store() throws Exception;
    }

    private static final class Processor implements ShardRecordProcessor {
        private String shard;
        /** The last record in the file. */
        private KinesisClientRecord last;
        private long checkpointed = System.nanoTime();
        /** Stopped within an aggregate: the rest is for the next owner. */
        private boolean over;

        public void initialize(InitializationInput input) {
            shard = input.shardId();
            say("begins " + shard + " behind " + input.extendedSequenceNumber());
            store("begin", () -> {
                append("> " + shard + "\n");
                Thread.sleep(number("KCL_BEGIN_MILLIS", 0));
            });
        }

        public void processRecords(ProcessRecordsInput input) {
            if (over) return;
            List<KinesisClientRecord> records = input.records();
            int count = leaving && STOPS_WITHIN ? withinAggregate(records) : records.size();
            over = count < records.size();
            if (count == 0) return;
            StringBuilder lines = new StringBuilder();
            for (KinesisClientRecord record : records.subList(0, count)) {
                byte[] data = new byte[record.data().remaining()];
                record.data().get(data);
                lines.append(shard).append(' ').append(place(record)).append(' ')
                        .append(Base64.getEncoder().encodeToString(data)).append('\n');
            }
            last = records.get(count - 1);
            store("records", () -> append(lines.toString()));
            if (over) {
                say("stops within an aggregate of " + shard);
                checkpoint("stop", () -> input.checkpointer().checkpoint(last.sequenceNumber(), last.subSequenceNumber()));
                String waitedFor = String.format("shardId-%012d", number("KCL_STOPS_WITHIN", 0));
                if (shard.equals(waitedFor)) STOPPED_WITHIN.countDown();
            } else if (System.nanoTime() - checkpointed >= CHECKPOINT_NANOS) {
                checkpointed = System.nanoTime();
                checkpoint("records", () -> input.checkpointer().checkpoint());
            }
        }

        /** How many of the records come before a place within an aggregate, as near to their middle as there is one. */
        private static int withinAggregate(List<KinesisClientRecord> records) {
            int best = records.size(), middle = records.size() / 2;
            for (int at = 1; at < records.size(); at++) {
                boolean within = records.get(at - 1).sequenceNumber().equals(records.get(at).sequenceNumber());
                if (within && Math.abs(at - middle) < Math.abs(best - middle)) best = at;
            }
            return best;
        }

        public void leaseLost(LeaseLostInput input) {
            say("loses " + shard);
        }

        public void shardEnded(ShardEndedInput input) {
            if (over) return;
            checkpoint("end", () -> input.checkpointer().checkpoint());
            say("ends " + shard);
        }

        public void shutdownRequested(ShutdownRequestedInput input) {
            if (over) return;
            checkpoint("stop", () -> input.checkpointer().checkpoint());
        }

        private void checkpoint(String what, Checkpoint checkpoint) {
            store(what, () -> {
                checkpoint.store();
                if (last != null) append("= " + shard + " " + place(last) + "\n");
            });
        }

        private void store(String what, Checkpoint checkpoint) {
            try {
                checkpoint.store();
            } catch (Exception e) {
                say("no checkpoint of " + shard + " at its " + what + ": " + e);
            }
        }

        private static String place(KinesisClientRecord record) {
            return record.sequenceNumber() + " " + record.subSequenceNumber();
        }
    }
}
