package streambank.peers;

import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The workload of benchmarks/workload.py on Kafka Streams: exactly once, stores in memory, no record caches.
 *
 * <p>Arguments: bootstrap servers, the run's name, threads, and "fast" (transactions of up to 10,000 records a poll,
 * as the other programs of the comparison) or "default" (every setting as Kafka Streams has it for exactly-once).
 * It prints how many records it has processed whenever a line comes in, and ends with its input.
 */
public final class ReferenceWorkload {
    record Change(String entry_id, String account_id, String user_id, long amount, String kind, long at) {}

    record Balance(String user_id, long before, long after, String entry_id) {}

    record Threshold(long level) {}

    record Profile(String email) {}

    record Alert(String account_id, String user_id, long level, long before, long after, String entry_id) {}

    record Notification(Alert alert, String email) {}

    private ReferenceWorkload() {}

    static Topology topology(String run) {
        Serde<String> key = Serdes.String();
        StreamsBuilder builder = new StreamsBuilder();
        KTable<String, Threshold> thresholds =
            builder.table("threshold", Consumed.with(key, Json.of(Threshold.class)), inMemory("threshold", Threshold.class));
        KTable<String, Profile> profiles =
            builder.table("profile", Consumed.with(key, Json.of(Profile.class)), inMemory("profile", Profile.class));
        KTable<String, Balance> balances = builder
            .stream("change", Consumed.with(key, Json.of(Change.class)))
            .groupByKey(Grouped.with(key, Json.of(Change.class)))
            .aggregate(
                () -> null,
                (account, change, balance) -> {
                    long before = balance == null ? 0 : balance.after();
                    return new Balance(change.user_id(), before, before + change.amount(), change.entry_id());
                },
                inMemory("balance", Balance.class));
        KStream<String, Balance> changes = balances.toStream();
        changes.to("balance-" + run, Produced.with(key, Json.of(Balance.class)));
        changes
            .join(thresholds, ReferenceWorkload::crossing, Joined.with(key, Json.of(Balance.class), Json.of(Threshold.class)))
            .flatMapValues(alerts -> alerts)
            .selectKey((account, alert) -> alert.user_id())
            .repartition(Repartitioned.with(key, Json.of(Alert.class)).withName("alert").withNumberOfPartitions(4))
            .join(profiles, (alert, profile) -> new Notification(alert, profile.email()),
                Joined.with(key, Json.of(Alert.class), Json.of(Profile.class)))
            .to("alert-" + run, Produced.with(key, Json.of(Notification.class)));
        return builder.build();
    }

    private static List<Alert> crossing(Balance balance, Threshold threshold) {
        if (balance.before() >= threshold.level() && threshold.level() > balance.after()) {
            return List.of(new Alert(
                "", balance.user_id(), threshold.level(), balance.before(), balance.after(), balance.entry_id()));
        }
        return List.of();
    }

    private static <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> inMemory(String name, Class<V> type) {
        return Materialized.<String, V>as(Stores.inMemoryKeyValueStore(name))
            .withKeySerde(Serdes.String())
            .withValueSerde(Json.of(type))
            .withCachingDisabled();
    }

    private static Properties settings(String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments[2]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        if (arguments[3].equals("fast")) {
            settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
            settings.put(StreamsConfig.consumerPrefix("max.poll.records"), 10_000);
            settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        }
        return settings;
    }

    private static long processed(KafkaStreams streams) {
        double total = 0;
        for (Metric metric : streams.metrics().values()) {
            if (metric.metricName().name().equals("process-total")
                && metric.metricName().group().equals("stream-thread-metrics")) {
                total += (double) metric.metricValue();
            }
        }
        return (long) total;
    }

    public static void main(String[] arguments) throws Exception {
        Properties settings = settings(arguments);
        Topology topology = topology(arguments[1]);
        KafkaStreams streams = new KafkaStreams(topology, settings);
        CountDownLatch ready = new CountDownLatch(1);
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING) {
                ready.countDown();
            }
        });
        streams.start();
        ready.await();
        System.out.println("running");
        for (int read = System.in.read(); read >= 0; read = System.in.read()) {
            if (read == '\n') {
                System.out.println(processed(streams));
            }
        }
        streams.close();
    }
}
