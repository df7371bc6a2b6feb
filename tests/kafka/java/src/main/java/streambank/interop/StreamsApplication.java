package streambank.interop;

import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The two topologies of test_java_interop.py on Kafka Streams, exactly once, until its input ends.
 *
 * <p>Arguments: bootstrap servers, the application's id, the folder for its state, "write" or "join", and the topics in
 * the order in which the topology names them.
 */
public final class StreamsApplication {
    private static final Serde<String> TEXT = Serdes.String();
    private static final Serde<Long> LONG = Serdes.Long();

    private StreamsApplication() {}

    /** Changes to totals, without those that come to nothing; of these the large ones; and payments by account. */
    static void write(
            StreamsBuilder builder, String changes, String payments, String totals, String large, String byAccount) {
        KTable<String, Long> sums = builder
            .stream(changes, Consumed.with(TEXT, LONG))
            .groupByKey(Grouped.with(TEXT, LONG))
            .aggregate(() -> 0L, (account, change, sum) -> sum + change == 0 ? null : sum + change, inMemory("sums"));
        sums.toStream().to(totals, Produced.with(TEXT, LONG));
        sums.filter((account, sum) -> sum > 100).toStream().to(large, Produced.with(TEXT, LONG));
        builder
            .stream(payments, Consumed.with(TEXT, TEXT))
            .map((payment, account) -> KeyValue.pair(account, payment))
            .to(byAccount, Produced.with(TEXT, TEXT));
    }

    /** Payments with the account's total, where it has one; and all of them with its large total. */
    static void join(
            StreamsBuilder builder, String totals, String large, String byAccount, String joined, String leftJoined) {
        KTable<String, Long> total = builder.table(totals, Consumed.with(TEXT, LONG), inMemory("totals"));
        KTable<String, Long> largeTotal = builder.table(large, Consumed.with(TEXT, LONG), inMemory("large"));
        KStream<String, String> payments = builder.stream(byAccount, Consumed.with(TEXT, TEXT));
        Joined<String, String, Long> serdes = Joined.with(TEXT, TEXT, LONG);
        payments
            .join(total, (payment, sum) -> payment + " " + sum, serdes)
            .to(joined, Produced.with(TEXT, TEXT));
        payments
            .leftJoin(largeTotal, (payment, sum) -> payment + " " + (sum == null ? "-" : sum), serdes)
            .to(leftJoined, Produced.with(TEXT, TEXT));
    }

    private static Materialized<String, Long, KeyValueStore<Bytes, byte[]>> inMemory(String name) {
        return Materialized.<String, Long>as(Stores.inMemoryKeyValueStore(name))
            .withKeySerde(TEXT)
            .withValueSerde(LONG)
            .withCachingDisabled();
    }

    private static Properties settings(String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[2]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        // Tables are restored from the topics they are read from, and not from copies of them.
        settings.put(StreamsConfig.TOPOLOGY_OPTIMIZATION_CONFIG, StreamsConfig.OPTIMIZE);
        return settings;
    }

    public static void main(String[] arguments) throws Exception {
        StreamsBuilder builder = new StreamsBuilder();
        if (arguments[3].equals("write")) {
            write(builder, arguments[4], arguments[5], arguments[6], arguments[7], arguments[8]);
        } else {
            join(builder, arguments[4], arguments[5], arguments[6], arguments[7], arguments[8]);
        }
        Properties settings = settings(arguments);
        KafkaStreams streams = new KafkaStreams(builder.build(settings), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.start();
        while (System.in.read() >= 0) {}
        streams.close(CloseOptions
            .groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP)
            .withTimeout(Duration.ofSeconds(20)));
    }
}
