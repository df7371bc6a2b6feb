package streambank.interop;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes a record for each key that comes in, one in Base64 a line, to the partition that Kafka's own producer gives it.
 *
 * <p>Arguments: bootstrap servers and the topic.
 */
public final class WriteKeys {
    private WriteKeys() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = lines.lines()
                .map(line -> Base64.getDecoder().decode(line))
                .map(key -> producer.send(new ProducerRecord<>(arguments[1], key, null)))
                .toList();
            for (Future<RecordMetadata> each : sent) {
                each.get();
            }
        }
    }
}
