import com.github.luben.zstd.ZstdInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPInputStream;

/** Prints files, lines and bytes of all files below a directory whose names end as given, as Java reads them. */
public final class ReadJava {
    private static InputStream unpacked(InputStream in, String ending) throws IOException {
        return switch (ending) {
            case ".gz" -> new GZIPInputStream(in);
            // Otherwise it would go on with a second frame.
            case ".zst" -> new ZstdInputStream(in).setContinuous(false);
            default -> in;
        };
    }

    public static void main(String[] arguments) throws Exception {
        String ending = arguments[1];
        List<Path> files;
        try (var walk = Files.walk(Path.of(arguments[0]))) {
            files = walk.filter(path -> path.toString().endsWith(ending)).toList();
        }
        long lines = 0;
        long bytes = 0;
        byte[] buffer = new byte[1 << 16];
        for (Path file : files) {
            try (InputStream in = unpacked(Files.newInputStream(file), ending)) {
                for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                    bytes += count;
                    for (int index = 0; index < count; index++) {
                        if (buffer[index] == '\n') {
                            lines++;
                        }
                    }
                }
            }
        }
        System.out.println(files.size() + " " + lines + " " + bytes);
    }
}
