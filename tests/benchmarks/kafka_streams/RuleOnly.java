import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The job `rule_only` (see ../rule.py, whose behaviour this repeats) in Kafka Streams: Processor API, persistent store (RocksDB),
 * changelog on, cache as by default, at least once.
 *
 * Arguments: bootstrap, application id, input topic, output topic, state directory, threads, commit interval in ms.
 */
public final class RuleOnly {
  static final long WINDOW_MS = 24L * 3_600_000;
  static final long KEPT_MS = 72L * 3_600_000;
  static final String STORE = "contacts";

  record Entry(long at, String id, String department) implements Comparable<Entry> {
    @Override
    public int compareTo(Entry other) {
      int byTime = Long.compare(at, other.at);
      return byTime != 0 ? byTime : id.compareTo(other.id);
    }
  }

  static final class Rule implements Processor<byte[], byte[], byte[], byte[]> {
    private static boolean said;
    private final ObjectMapper json = new ObjectMapper();
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<byte[], byte[]> store;

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      this.store = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      sayFirst();
      try {
        JsonNode contact = json.readTree(record.value());
        String customer = contact.get("customer").textValue();
        Entry entry =
            new Entry(contact.get("at").longValue(), contact.get("id").textValue(), contact.get("department").textValue());
        List<Entry> state = decode(store.get(record.key()));
        for (Entry known : state) {
          if (known.id().equals(entry.id())) {
            return;
          }
        }
        for (Entry known : state) {
          if (!known.department().equals(entry.department()) && Math.abs(known.at() - entry.at()) < WINDOW_MS) {
            boolean before = known.compareTo(entry) < 0;
            Map<String, String> pair = new LinkedHashMap<>();
            pair.put("customer", customer);
            pair.put("earlier", before ? known.id() : entry.id());
            pair.put("later", before ? entry.id() : known.id());
            context.forward(new Record<>(record.key(), json.writeValueAsBytes(pair), record.timestamp()));
          }
        }
        state.add(-1 - Collections.binarySearch(state, entry), entry);
        long horizon = state.get(state.size() - 1).at() - KEPT_MS;
        while (state.get(0).at() < horizon) {
          state.remove(0);
        }
        store.put(record.key(), encode(state));
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    private static synchronized void sayFirst() {
      if (!said) {
        said = true;
        System.out.println("first " + System.currentTimeMillis() + "000000");
      }
    }
  }

  static List<Entry> decode(byte[] value) throws IOException {
    List<Entry> state = new ArrayList<>();
    if (value != null) {
      DataInputStream in = new DataInputStream(new ByteArrayInputStream(value));
      for (int left = in.readInt(); left > 0; left--) {
        state.add(new Entry(in.readLong(), in.readUTF(), in.readUTF()));
      }
    }
    return state;
  }

  static byte[] encode(List<Entry> state) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.writeInt(state.size());
    for (Entry entry : state) {
      out.writeLong(entry.at());
      out.writeUTF(entry.id());
      out.writeUTF(entry.department());
    }
    return bytes.toByteArray();
  }

  public static void main(String[] arguments) throws InterruptedException {
    Topology topology = new Topology();
    topology.addSource("in", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), arguments[2]);
    topology.addProcessor("rule", Rule::new, "in");
    topology.addStateStore(
        Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.ByteArray(), Serdes.ByteArray())
            .withCachingEnabled(),
        "rule");
    topology.addSink("out", arguments[3], Serdes.ByteArray().serializer(), Serdes.ByteArray().serializer(), "rule");
    Properties config = new Properties();
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
    config.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
    config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments[5]);
    config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments[6]);
    config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
    config.put("auto.offset.reset", "earliest");
    KafkaStreams streams = new KafkaStreams(topology, config);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
    new CountDownLatch(1).await();
  }
}
